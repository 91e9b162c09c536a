//! What a panic tells.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};

use crate::output::note;

/// From now on a panic says where it was, but not what: its message may be made of what a request
/// said. Messages that stand in the program as they are hold nothing of anybody.
pub fn hide_messages() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let reason = literal(panic.payload());
        let trace = Backtrace::capture();
        let trace = (trace.status() == BacktraceStatus::Captured).then_some(trace);
        if tracing::dispatcher::has_been_set() {
            let trace = trace.map(tracing::field::display);
            tracing::error!(place, reason, trace, "a panic");
        } else {
            let trace = trace.map(|trace| format!("\n{trace}")).unwrap_or_default();
            note(format_args!("a panic at {place}: {reason}{trace}"));
        }
    }));
}

/// The message of a panic when it is a text of the program itself.
fn literal(payload: &dyn Any) -> &'static str {
    let told = payload.downcast_ref::<&'static str>().copied();
    told.unwrap_or("its message is not shown, because it may hold data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_tells_texts_of_the_program_and_nothing_else() {
        let of = |panics: fn()| std::panic::catch_unwind(panics).expect_err("a panic");
        assert_eq!(literal(&*of(|| panic!("a rule"))), "a rule");
        let body = of(|| {
            let body = std::hint::black_box("a body");
            panic!("cannot read {body}");
        });
        assert!(!literal(&*body).contains("body"));
    }
}
