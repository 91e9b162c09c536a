//! Answers of the library to what it cannot read as HTTP/1: it writes them itself, blank, and has no way
//! to say more. Each is replaced by a problem as every other refusal is one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::explain;

/// A blank answer is a few lines.
const BLANK_BYTES_MAX: usize = 256;

/// A stream that gives blank refusals their reason.
pub struct Explained<S> {
    stream: S,
    /// What is to be written before anything else.
    pending: Vec<u8>,
}

impl<S: AsyncWrite + Unpin> Explained<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, pending: Vec::new() }
    }

    /// Writes what replaces a blank refusal.
    fn poll_pending(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.pending))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.pending.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes a blank refusal and keeps what replaces it; says whether it was one.
    fn replaces(&mut self, bytes: &[u8]) -> bool {
        let Some(status) = blank(bytes) else { return false };
        self.pending = explain(status);
        true
    }
}

/// The status of an answer that the library made: all others name their request.
fn blank(bytes: &[u8]) -> Option<StatusCode> {
    let rest = bytes.strip_prefix(b"HTTP/1.1 4")?;
    if bytes.len() > BLANK_BYTES_MAX || !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let head = std::str::from_utf8(bytes).ok()?.to_ascii_lowercase();
    let is_blank =
        head.contains("\r\ncontent-length: 0\r\n") && !head.contains("\r\nx-request-id:");
    let digits = [b'4', *rest.first()?, *rest.get(1)?];
    StatusCode::from_bytes(&digits).ok().filter(|_| is_blank)
}

impl<S: AsyncRead + Unpin> AsyncRead for Explained<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Explained<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_pending(context))?;
        if self.replaces(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_pending(context))?;
        if let [bytes] = parts
            && self.replaces(bytes)
        {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_library_wrote_is_blank() {
        let ours = "HTTP/1.1 400 Bad Request\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n";
        for (text, status) in [
            (
                "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
                Some(400),
            ),
            ("HTTP/1.1 431 Request\r\ncontent-length: 0\r\ndate: now\r\n\r\n", Some(431)),
            ("HTTP/1.1 400 Bad Request\r\ncontent-length: 10\r\n\r\n", None),
            ("HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", None),
            ("HTTP/1.1 4", None),
            ("HTTP/1.1 4\r\ncontent-length: 0\r\n\r\n", None),
            ("", None),
            (ours, None),
        ] {
            assert_eq!(blank(text.as_bytes()).map(|status| status.as_u16()), status, "{text}");
        }
    }
}
