//! Conditions that a test needs, and tests that are skipped for want of one.

use std::io::Write;

/// The value of an environment variable; without it the running test says that it is skipped.
///
/// # Panics
/// As [`skip`].
pub fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        skip(&format!("{name} is not set; scripts/services up starts a server and prints it"));
    }
    value
}

/// Says that the running test is skipped, and why. The line goes past the test harness, which
/// shows nothing of tests that pass, and into the file that TEST_SKIPS names, where `scripts/test`
/// counts it.
///
/// # Panics
/// In the continuous integration, where nothing may be skipped.
pub fn skip(why: &str) {
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!in_ci, "skipped in the continuous integration: {why}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("SKIPPED: {test}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("a standard error output");
    if let Some(path) = std::env::var_os("TEST_SKIPS") {
        let file = std::fs::File::options().append(true).create(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the file of TEST_SKIPS");
    }
}
