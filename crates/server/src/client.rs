//! Asks a running server as its administrator does, for commands that need what it holds.

use std::time::Duration;

use reqwest::{Certificate, Client, Method, Url};
use serde_json::Value;

use crate::auth::{IssueError, Scope, Subject, issue};
use crate::config::Config;

/// The variable that may hold the credential of an administrator, where issuers sign tokens.
const TOKEN: &str = "DAYBOOK_TOKEN";
/// How long a token is good for that one run needs.
const TOKEN_TIME: Duration = Duration::from_secs(300);
/// How long one call may take.
const CALL_TIME: Duration = Duration::from_secs(60);

/// A running server.
pub struct Server {
    client: Client,
    base: Url,
    token: Option<String>,
}

/// Why a server gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("'{url}' is no URL of a server")]
    BadUrl { url: String },
    #[error("the server's certificate cannot be read: {reason}")]
    BadCertificate { reason: String },
    #[error("no token can be signed")]
    NoToken(#[from] IssueError),
    #[error("a server uses the store, but it cannot be asked at {base}; name it with --server")]
    Away { base: Url, source: reqwest::Error },
    #[error("the server cannot be asked")]
    NoClient(#[from] reqwest::Error),
    #[error("the server refused: {detail}")]
    Refused { detail: String },
}

impl Server {
    /// A server at a URL, with the token or API key in `DAYBOOK_TOKEN`, or else one that the configured
    /// secret signs.
    ///
    /// # Errors
    /// When the URL is none, or the certificate of the configuration cannot be read.
    pub fn at(config: &Config, url: &str) -> Result<Self, ClientError> {
        let base = Url::parse(url).ok().filter(|base| !base.cannot_be_a_base());
        let base = base.ok_or_else(|| ClientError::BadUrl { url: url.to_owned() })?;
        let mut builder = Client::builder().timeout(CALL_TIME).no_proxy();
        if let Some(files) = config.tls_files() {
            // A certificate that no authority signed is known from the configuration.
            let bad =
                |error: std::io::Error| ClientError::BadCertificate { reason: error.to_string() };
            let pem = std::fs::read(files.certificate).map_err(bad)?;
            for certificate in Certificate::from_pem_bundle(&pem)? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let subject = Subject::Service(vec![Scope::Admin]);
        let token = match std::env::var(TOKEN) {
            Ok(token) if !token.is_empty() => Some(token),
            _ => {
                let signed =
                    config.secret.reveal().map(|secret| issue(secret, &subject, TOKEN_TIME));
                signed.transpose()?
            }
        };
        Ok(Self { client: builder.build()?, base, token })
    }

    /// Asks for what is at a path below `/api/v1`.
    ///
    /// # Errors
    /// When the server is away or refuses.
    pub async fn get(
        &self,
        path: &[&str],
        parameters: &[(&str, &str)],
    ) -> Result<Value, ClientError> {
        self.send(Method::GET, path, parameters, None).await
    }

    /// Has something done at a path below `/api/v1`.
    ///
    /// # Errors
    /// When the server is away or refuses.
    pub async fn post(
        &self,
        path: &[&str],
        parameters: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, ClientError> {
        self.send(Method::POST, path, parameters, body).await
    }

    /// Ends what is at a path below `/api/v1`.
    ///
    /// # Errors
    /// When the server is away or refuses.
    pub async fn delete(&self, path: &[&str]) -> Result<Value, ClientError> {
        self.send(Method::DELETE, path, &[], None).await
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        parameters: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, ClientError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // Percent-encodes what a name may hold.
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        let mut request = self.client.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let away = |source| ClientError::Away { base: self.base.clone(), source };
        let answer = request.send().await.map_err(away)?;
        let status = answer.status();
        let body = serde_json::from_slice(&answer.bytes().await?).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(body);
        }
        let detail = body.get("detail").and_then(Value::as_str);
        Err(ClientError::Refused { detail: detail.map_or(status.to_string(), str::to_owned) })
    }
}
