use crate::folder::Folder;

#[test]
fn every_command_explains_itself_with_examples() {
    let folder = Folder::new();
    let help = folder.ok(&["--help"]);
    assert!(
        help.contains("Exit codes: 0 done, 1 failed, 2 called or configured wrongly."),
        "{help}"
    );
    let (_, listed) = help.split_once("Commands:\n").unwrap();
    let (listed, _) = listed.split_once("\n\n").unwrap();
    let names = listed.lines().map(|line| line.split_whitespace().next().unwrap());
    let names: Vec<&str> = names.filter(|name| *name != "help").collect();
    assert_eq!(names.len(), 19, "{names:?}");
    for name in names.into_iter().filter(|name| *name != "bench") {
        let help = folder.ok(&[name, "--help"]);
        assert!(help.contains("Examples:\n"), "{name}: {help}");
    }
}

#[test]
fn every_word_of_the_ledger_explains_itself_with_examples() {
    let folder = Folder::new();
    for (command, words) in [
        ("accounts", &["list", "show", "open", "statement"][..]),
        ("api-keys", &["create", "list", "rotate", "revoke"]),
        ("transfers", &["list", "show", "send", "post", "void", "rollback"]),
    ] {
        for word in words {
            let help = folder.ok(&[command, word, "--help"]);
            assert!(help.contains(&format!("Examples:\n  daybook {command} {word}")), "{help}");
        }
    }
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
