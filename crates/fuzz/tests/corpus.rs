//! Replays what the fuzzers kept.

use std::fs;
use std::path::Path;

use daybook_fuzz::TARGETS;

#[test]
fn the_corpora_break_no_rule() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let mut replayed = 0;
        for file in fs::read_dir(&folder).expect("every target has a corpus") {
            let path = file.expect("a readable folder").path();
            // Shown when the rule is broken.
            println!("{}", path.display());
            target(&fs::read(path).expect("a readable file"));
            replayed += 1;
        }
        assert!(replayed > 9, "the corpus of {name} is nearly empty");
    }
}

/// What the program runs, the tests replay, and `scripts/fuzz` finds by `cargo fuzz list`.
#[test]
fn every_target_has_its_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    let files = fs::read_dir(folder).expect("a folder");
    let mut programs: Vec<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    programs.sort();
    let known: Vec<String> = TARGETS.iter().map(|(name, _)| format!("{name}.rs")).collect();
    assert_eq!(programs, known);
}
