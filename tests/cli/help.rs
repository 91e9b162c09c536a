use crate::folder::Folder;

#[test]
fn every_command_explains_itself_with_examples() {
    let folder = Folder::new();
    let help = folder.ok(&["--help"]);
    assert!(
        help.contains("Exit codes: 0 done, 1 failed, 2 called or configured wrongly."),
        "{help}"
    );
    let names = listed(&help);
    assert_eq!(names.len(), 19, "{names:?}");
    for name in names.into_iter().filter(|name| *name != "bench") {
        let help = folder.ok(&[name, "--help"]);
        assert!(help.contains("Examples:\n"), "{name}: {help}");
    }
}

#[test]
fn every_word_of_a_command_is_explained_by_an_example() {
    let folder = Folder::new();
    let mut with_words = Vec::new();
    let help = folder.ok(&["--help"]);
    for command in listed(&help) {
        let help = folder.ok(&[command, "--help"]);
        let words = listed(&help);
        if !words.is_empty() {
            with_words.push(command);
        }
        for word in words {
            let own = folder.ok(&[command, word, "--help"]);
            let example = format!("daybook {command} {word}");
            let is_shown = match own.split_once("Examples:\n  ") {
                Some((_, examples)) => examples.starts_with(&example),
                // What is said in one line stands among the examples of its command.
                None => help.contains(&example),
            };
            assert!(is_shown, "{example}: {own}");
        }
    }
    assert_eq!(with_words, ["accounts", "transfers", "events", "api-keys", "keys"]);
}

/// What a command's help lists as words that may follow it.
fn listed(help: &str) -> Vec<&str> {
    let Some((_, listed)) = help.split_once("Commands:\n") else { return Vec::new() };
    let lines = listed.lines().take_while(|line| !line.is_empty());
    // Deeper lines go on with what the one above says.
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help").collect()
}

#[test]
fn the_version_is_printed() {
    let version = format!("daybook {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(Folder::new().ok(&["--version"]), version);
}

#[test]
fn an_unknown_word_is_exit_code_2() {
    let ran = Folder::new().run(&["exprot"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("export"), "{ran:?}");
}
