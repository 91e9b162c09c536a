//! The ring of keys that seal sensitive values, for administrators.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer;
use super::caller::IsAdmin;
use super::error::Result;
use super::request::{Params, PathUser, Reader};
use super::schema::{self, ReadProblems};
use crate::app::App;

/// How many keys one call wraps, unless it says so.
const STEP: u32 = 1_000;
/// The most keys that one call wraps: they are one commit.
const STEP_MAX: u32 = 10_000;

/// How the ring of keys is.
#[derive(Serialize, ToSchema)]
#[schema(as = Keyring)]
pub struct KeyringBody {
    #[schema(value_type = String)]
    ring: Uuid,
    masters: Vec<MasterBody>,
    /// Keys of users that were destroyed.
    shredded: u64,
    /// All keys of users that there ever were.
    total: u64,
}

/// A master key, by name only.
#[derive(Serialize, ToSchema)]
#[schema(as = MasterKey)]
pub struct MasterBody {
    id: String,
    /// How many keys of users it wraps.
    keys: u64,
    is_current: bool,
}

/// How much of the work is left.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyringLeft)]
pub struct LeftBody {
    /// Keys of users that the current master key does not wrap yet.
    left: u64,
}

/// What was destroyed.
#[derive(Serialize, ToSchema)]
#[schema(as = Shredded)]
pub struct ShreddedBody {
    /// How many keys of the user were destroyed.
    keys: u64,
}

async fn status(app: &App) -> Result<Response> {
    let ring = app.keyring().await?;
    let master = |master: daybook_store::MasterStatus| MasterBody {
        id: master.id,
        keys: master.keys,
        is_current: master.is_current,
    };
    answer::of(&KeyringBody {
        ring: ring.ring,
        masters: ring.masters.into_iter().map(master).collect(),
        shredded: ring.shredded,
        total: ring.total,
    })
}

/// Says which master keys wrap how many keys of users.
#[utoipa::path(
    get, path = "/api/v1/keyring", tag = "access", operation_id = "getKeyring",
    responses(
        (status = 200, description = "The ring.", body = KeyringBody),
        (status = 409, description = "Nothing is sealed in this store, or master keys are missing.",
         body = schema::Problem, content_type = "application/problem+json"),
        ReadProblems,
    ),
)]
pub async fn get(State(app): State<App>, _: IsAdmin, params: Params) -> Result<Response> {
    params.only(&[])?;
    status(&app).await
}

/// Reads the master keys again from where the configuration says and uses them from now on.
///
/// The first one wraps what is new. When they do not unwrap all that is wrapped, those in use stay.
#[utoipa::path(
    post, path = "/api/v1/keyring/rotate", tag = "access", operation_id = "rotateKeyring",
    responses(
        (status = 200, description = "The ring.", body = KeyringBody),
        (status = 409, description = "Nothing is sealed in this store, or master keys are missing.",
         body = schema::Problem, content_type = "application/problem+json"),
        ReadProblems,
    ),
)]
pub async fn rotate(State(app): State<App>, _: IsAdmin, params: Params) -> Result<Response> {
    params.only(&[])?;
    app.reload_masters().await?;
    status(&app).await
}

/// Wraps some keys of users by the current master key that others wrap; call it until none is left.
#[utoipa::path(
    post, path = "/api/v1/keyring/rewrap", tag = "access", operation_id = "rewrapKeyring",
    params(("limit" = Option<u32>, Query, description = "The most keys to wrap, 1 to 10000.")),
    responses(
        (status = 200, description = "What is left.", body = LeftBody),
        (status = 409, description = "Nothing is sealed in this store, or master keys are missing.",
         body = schema::Problem, content_type = "application/problem+json"),
        ReadProblems,
    ),
)]
pub async fn rewrap(State(app): State<App>, _: IsAdmin, params: Params) -> Result<Response> {
    params.only(&["limit"])?;
    let mut reader = Reader::new(&params);
    let limit = reader.limit(STEP, STEP_MAX);
    reader.finish()?;
    answer::of(&LeftBody { left: app.rewrap_keys(limit).await? })
}

/// Destroys the keys of a user: the user's sealed values are `null` from now on, here and in every
/// backup. Nothing brings them back.
#[utoipa::path(
    post, path = "/api/v1/users/{user_id}/shred", tag = "access", operation_id = "shredUser",
    params(("user_id" = String, Path, description = "Whose keys.")),
    responses(
        (status = 200, description = "What was destroyed.", body = ShreddedBody),
        (status = 409, description = "Nothing is sealed in this store, or master keys are missing.",
         body = schema::Problem, content_type = "application/problem+json"),
        ReadProblems,
    ),
)]
pub async fn shred(
    State(app): State<App>,
    _: IsAdmin,
    PathUser(user): PathUser,
    params: Params,
) -> Result<Response> {
    params.only(&[])?;
    answer::of(&ShreddedBody { keys: app.shred_user(user).await? })
}
