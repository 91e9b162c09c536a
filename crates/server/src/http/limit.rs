//! Bodies, read within limits of size and time.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::error::{Error, Result};
use crate::app::App;

/// How much of a body that is too large is read and forgotten, so that a client that only
/// listens once it has sent everything hears the answer.
const FORGOTTEN_MAX: u64 = 64 * 1024 * 1024;

/// A body of JSON about one item.
pub struct JsonBody(String);

impl JsonBody {
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl FromRequest<App> for JsonBody {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        let (parts, body) = request.into_parts();
        let expected = "application/json";
        // A merge patch (RFC 7396) is JSON under a name of its own.
        if !is_one_of(&parts.headers, &[expected, "application/merge-patch+json"]) {
            return Err(Error::UnsupportedMediaType { expected });
        }
        let bytes = read(&parts.headers, body, app.settings().body_max, app).await?;
        String::from_utf8(bytes.into()).map(Self).map_err(|_| Error::NotUtf8)
    }
}

/// Whether the content type is one of these, or is not given.
pub(crate) fn is_one_of(headers: &HeaderMap, types: &[&str]) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let Ok(text) = value.to_str() else {
        return false;
    };
    let (media_type, parameters) = text.split_once(';').unwrap_or((text, ""));
    let named = types.iter().any(|name| name.eq_ignore_ascii_case(media_type.trim()));
    let charset = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    let utf8 = charset.is_none_or(|charset| {
        ["utf-8", "utf8", "us-ascii"].iter().any(|name| name.eq_ignore_ascii_case(charset))
    });
    named && utf8
}

/// Reads a body of at most `max` bytes.
pub(crate) async fn read(headers: &HeaderMap, body: Body, max: usize, app: &App) -> Result<Bytes> {
    let collected = tokio::time::timeout(app.settings().read_timeout, async {
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|announced| announced > u64::try_from(max).unwrap_or(u64::MAX)) {
            if !headers.contains_key(header::EXPECT) {
                forget(body).await;
            }
            return Err(Error::BodyTooLarge { max });
        }
        match Limited::new(body, max).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Error::BodyTooLarge { max }),
            Err(_) => Err(Error::BodyCut),
        }
    });
    collected.await.unwrap_or(Err(Error::BodySlow))
}

async fn forget(mut body: Body) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, |data| data.len() as u64);
        if read > FORGOTTEN_MAX {
            return;
        }
    }
}
