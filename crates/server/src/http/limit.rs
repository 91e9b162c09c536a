//! Bodies, read within limits of size and time, and decoded.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::coding::Coding;
use super::error::{Error, Result};
use crate::app::App;

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

/// Reads a body of at most `max` bytes, both as it comes and decoded.
pub(crate) async fn read(headers: &HeaderMap, body: Body, max: usize, app: &App) -> Result<Bytes> {
    let coding = Coding::of(headers)?;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > u64::try_from(max).unwrap_or(u64::MAX)) {
        return Err(Error::BodyTooLarge { max });
    }
    let collected = Limited::new(body, max).collect();
    let bytes = match tokio::time::timeout(app.settings().read_timeout, collected).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(Error::BodyTooLarge { max });
        }
        Ok(Err(_)) => return Err(Error::BodyCut),
        Err(_elapsed) => return Err(Error::BodySlow),
    };
    match coding.filter(|_| !bytes.is_empty()) {
        Some(coding) => decode(coding, bytes, max, app).await,
        None => Ok(bytes),
    }
}

/// Decodes where it is in nobody's way, a few bodies at a time: each decoder has some megabytes.
async fn decode(coding: Coding, bytes: Bytes, max: usize, app: &App) -> Result<Bytes> {
    let place = app.decoding_place().await.ok_or(Error::Overloaded)?;
    let decoding = tokio::task::spawn_blocking(move || {
        let decoded = coding.decode(&bytes, max);
        // Not before: who asked may have gone, and the work goes on.
        drop(place);
        decoded
    });
    let decoded = decoding.await.map_err(|error| Error::Internal(error.into()))?;
    decoded.map(Bytes::from)
}
