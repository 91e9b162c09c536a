use crate::folder::Folder;

#[test]
fn the_default_is_overridden_by_the_file_the_environment_and_flags_in_this_order() {
    let folder = Folder::new();
    let store = |words: &[&str], environment: &[(&str, &str)]| {
        let ran = folder.run_with(words, environment);
        let line = ran.stdout.lines().find(|line| line.starts_with("store = ")).unwrap();
        line.to_owned()
    };
    assert_eq!(store(&["config"], &[]), "store = \"sqlite:daybook.db\" # default");
    folder.write("daybook.toml", "store = \"sqlite:file.db\"\n");
    assert_eq!(store(&["config"], &[]), "store = \"sqlite:file.db\" # file daybook.toml");
    folder.write("other.toml", "store = \"sqlite:other.db\"\n");
    let other = "store = \"sqlite:other.db\" # file other.toml";
    assert_eq!(store(&["config", "--config", "other.toml"], &[]), other);
    let environment = [("DAYBOOK_STORE", "sqlite:env.db")];
    let from_environment = "store = \"sqlite:env.db\" # DAYBOOK_STORE in the environment";
    assert_eq!(store(&["config"], &environment), from_environment);
    assert_eq!(
        store(&["config", "--store", "sqlite:flag.db"], &environment),
        "store = \"sqlite:flag.db\" # flag --store"
    );
}

#[test]
fn the_documented_defaults_are_a_valid_file() {
    let folder = Folder::new();
    folder.write("daybook.toml", folder.ok(&["config", "--default"]));
    let shown = folder.ok(&["config"]);
    assert!(shown.contains("listen = \"127.0.0.1:8000\" # file daybook.toml"), "{shown}");
    assert!(!shown.contains("# default"), "{shown}");
}

#[test]
fn a_wrong_configuration_is_one_clear_sentence_and_exit_code_2() {
    for (file, sentence) in [
        ("listn = \"x\"", "there is no key `listn` (file daybook.toml); did you mean `listen`?"),
        (
            "body_bytes = 1",
            "there is no key `body_bytes` (file daybook.toml); did you mean `limits.body_bytes`?",
        ),
        (
            "[limits]\nbody_byte = 1",
            "there is no key `limits.body_byte` (file daybook.toml); did you mean `limits.body_bytes`?",
        ),
        (
            "[limits]\nqueue = \"x\"",
            "`limits.queue` must be a whole number from 1 on (file daybook.toml)",
        ),
        ("limits = 3", "there is no key `limits`"),
        ("bus = \"kafka://host\"", "`bus` must be memory:, the only one that this version knows;"),
        ("listen = \n", "the configuration file 'daybook.toml' is not valid TOML: line 1:"),
        ("[feed]\ncurrencies = { xyz = 8 }", "`feed.currencies` must be codes of 2 to 12 capital"),
    ] {
        let folder = Folder::new();
        folder.write("daybook.toml", file);
        folder.run(&["config"]).fails(2, sentence);
    }
    let folder = Folder::new();
    folder.run(&["config", "--config", "no.toml"]).fails(2, "the configuration file 'no.toml'");
    let unknown = [("DAYBOOK_LIMITS_QUEU", "1")];
    let sentence = "there is no key `DAYBOOK_LIMITS_QUEU` (from the environment); did you mean \
                    `DAYBOOK_LIMITS_QUEUE`?";
    folder.run_with(&["config"], &unknown).fails(2, sentence);
}

#[test]
fn a_secret_is_never_shown() {
    let folder = Folder::new();
    let ran = folder.run_with(&["config"], &[("DAYBOOK_SECRET", "hush-hush")]);
    assert!(!ran.stdout.contains("hush"), "{ran:?}");
    assert!(ran.stdout.contains("secret = \"********\" # DAYBOOK_SECRET in the environment"));
}
