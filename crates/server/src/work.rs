//! What the server does by itself, without being asked.

mod settler;
mod verifier;

pub use settler::Settler;
pub(crate) use verifier::Looks;
pub use verifier::Verifier;
