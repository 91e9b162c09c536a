//! The laws of `ARCHITECTURE.md` and the habits of the house, as far as a reader of text can check
//! them. Each broken law says where, and what to do instead.

#![cfg(test)]
#![expect(clippy::string_slice, reason = "cut where a character was found")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which of our crates each crate may import: nothing points left.
const ARROWS: &[(&str, &[&str])] = &[
    ("daybook-core", &[]),
    ("daybook-store", &["daybook-core"]),
    ("daybook-connectors", &["daybook-core", "daybook-store"]),
    ("daybook-server", &["daybook-core", "daybook-store", "daybook-connectors"]),
    ("daybook-bench", &["daybook-core", "daybook-store"]),
    (
        "daybook",
        &["daybook-core", "daybook-store", "daybook-connectors", "daybook-server", "daybook-bench"],
    ),
    ("daybook-fuzz", &["daybook-core", "daybook-store", "daybook-server", "daybook"]),
];

/// Who may know what is outside. The benchmark compares the store with SQLite itself.
const OUTSIDE: &[(&[&str], &[&str])] = &[
    (
        &["rusqlite", "libsqlite3-sys", "refinery", "tokio-postgres", "deadpool-postgres", "sqlx"],
        &["daybook-store", "daybook-bench"],
    ),
    (&["axum", "axum-extra", "hyper", "tower-http", "utoipa", "http"], &["daybook-server"]),
    (&["rdkafka", "lapin", "redis"], &["daybook-connectors"]),
    // The server fetches the keys of those who sign tokens.
    (&["reqwest"], &["daybook-connectors", "daybook-server"]),
];

/// What `core` may not say, and why.
const IMPURE: &[(&str, &str)] = &[
    ("async fn", "core never awaits"),
    ("async move", "core never awaits"),
    (".await", "core never awaits"),
    ("SystemTime", "time arrives in the command"),
    ("Instant::now", "time arrives in the command"),
    ("Timestamp::now(", "time arrives in the command"),
    ("Zoned::now(", "time arrives in the command"),
    ("now_v7", "ids arrive in the command"),
    ("new_v4", "ids arrive in the command"),
    ("rand::rng(", "randomness arrives as a seed"),
    ("thread_rng", "randomness arrives as a seed"),
    ("thread::", "core starts no threads"),
    ("std::fs", "core does no I/O"),
    ("std::net", "core does no I/O"),
    ("std::io", "core does no I/O"),
    ("std::env", "core does no I/O"),
    ("println!", "core does no I/O"),
];

/// Files whose statements run within a commit.
const COMMIT_FILES: &[&str] =
    &["sqlite/write.rs", "sqlite/ledger.rs", "postgres/write.rs", "postgres/write/ledger.rs"];

/// Statements beside the commits: where they are, the table, and why they do not change what the
/// books say.
const BESIDE_COMMITS: &[(&str, &str, &str)] = &[
    ("*/follow.rs", "followers", "a follower's lease and position"),
    ("*/lease.rs", "leases", "which process does the work that one of them does"),
    ("*/keys.rs", "api_keys", "within a commit; and when a key was last used"),
    ("*/ring.rs", "sealing", "which key is current, and which have been"),
    ("sqlite/ring.rs", "keys", "a file of its own: keys of users, wrapped"),
    ("sqlite/ring.rs", "ring", "a file of its own: its name"),
    ("postgres/ring.rs", "daybook_keys", "keys of users, wrapped"),
    ("*/chain.rs", "events", "links of a log that was written before there were links"),
    ("*/copy.rs", "?", "another store's books, into a store that has none"),
    ("copy.rs", "copying", "how far a copy has come"),
    ("sqlite/schema.rs", "search", "settings of the index"),
    ("*/outdated.rs", "outdated", "which items an earlier version indexed otherwise"),
    ("*/outdated.rs", "words", "the dictionary of such items, as a commit writes it now"),
    ("sqlite/outdated.rs", "search", "the index of such items, as a commit writes it now"),
    ("postgres/outdated.rs", "transactions", "their index alone, as a commit writes it now"),
];

/// Where routes are: those of the contract, and the pages that show it.
const ROUTE_PAGES: &[&str] = &["crates/server/src/http.rs", "crates/server/src/http/docs.rs"];

/// How a router learns of a route.
const ROUTING: &[&str] = &["routes!(", ".route(", ".route_service(", ".nest(", ".nest_service("];

/// The routes that the OpenAPI document does not know, as they are written, and why they need no
/// rule of who may call them. For every route that it knows the tests of the API want one.
const UNDOCUMENTED: &[(&str, &str)] = &[
    ("\"/health\"", "the documented call, where probes look for it"),
    ("\"/livez\"", "the documented call, where probes look for it"),
    ("\"/readyz\"", "the documented call, where probes look for it"),
    ("\"/metrics\"", "the documented call, where Prometheus looks for it"),
    ("\"/openapi.json\"", "the document itself, for everybody"),
    ("\"/api/v1/openapi.json\"", "the document itself, for everybody"),
    ("\"/redoc\"", "a page that shows the document"),
    ("REDOC_PATH", "the script of that page"),
];

/// The most lines of a source file, its tests not counted; more is split by intention.
const FILE_LINES_MAX: usize = 500;

#[test]
fn crates_import_only_what_is_to_their_right() {
    let mut broken = Vec::new();
    for (name, manifest) in manifests() {
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            broken.push(format!("{name}: give the new crate its place in ARROWS"));
            continue;
        };
        for dependency in dependencies(&manifest) {
            if dependency.starts_with("daybook") && !allowed.contains(&dependency.as_str()) {
                broken.push(format!("{name} imports {dependency}"));
            }
        }
    }
    holds("daybook -> server -> connectors -> store -> core", &broken);
}

#[test]
fn only_one_crate_knows_each_thing_outside() {
    let mut broken = Vec::new();
    for (name, manifest) in manifests() {
        // Tests may reach for the real thing from outside.
        let tables = ["dependencies", "build-dependencies"];
        for (dependency, _) in tables_of(&manifest, &tables) {
            for (outside, may) in OUTSIDE {
                if outside.contains(&dependency.as_str()) && !may.contains(&name.as_str()) {
                    broken.push(format!("{name} knows {dependency}; only {} may", may.join(", ")));
                }
            }
        }
    }
    holds("only server knows HTTP, store SQL, connectors brokers and caches", &broken);
}

#[test]
fn core_depends_on_nothing_that_waits() {
    let waits = ["tokio", "tokio-util", "futures-util", "async-trait", "parking_lot", "tracing"];
    let manifests = manifests();
    let dependencies = dependencies(&manifests["daybook-core"]);
    let broken: Vec<String> =
        dependencies.into_iter().filter(|name| waits.contains(&name.as_str())).collect();
    holds("core does no I/O and never awaits", &broken);
}

#[test]
fn core_reads_no_clock_and_no_randomness_and_does_no_io() {
    let mut broken = Vec::new();
    for source in sources("crates/core/src") {
        for (number, line) in source.code() {
            let said = IMPURE.iter().filter(|(words, _)| line.contains(words));
            broken.extend(said.map(|(words, why)| source.at(number, &format!("`{words}`: {why}"))));
        }
    }
    holds("core is pure", &broken);
}

#[test]
fn no_float_comes_near_money() {
    let mut broken = Vec::new();
    for source in ["crates/core/src", "crates/store/src"].into_iter().flat_map(sources) {
        for (number, line) in source.code() {
            let said = ["f32", "f64"].into_iter().filter(|word| has_word(line, word));
            broken.extend(said.map(|word| source.at(number, &format!("`{word}`: use Amount"))));
        }
    }
    for source in
        ["crates/server/src", "crates/connectors/src", "src"].into_iter().flat_map(sources)
    {
        for (number, line) in source.code() {
            let said = ["as_f64", "parse::<f64>", "parse::<f32>", "f64::from_str"]
                .into_iter()
                .filter(|words| line.contains(words));
            broken.extend(said.map(|words| source.at(number, &format!("`{words}`: use Amount"))));
        }
    }
    holds("money is exact", &broken);
}

#[test]
fn sql_is_written_in_the_store_only() {
    let mut broken = Vec::new();
    for source in all_sources() {
        let baseline = source.path == "crates/bench/src/raw.rs";
        if source.path.starts_with("crates/store/") || baseline {
            continue;
        }
        for (number, text) in literals(source.own_text()) {
            if is_sql(&text) {
                let start: String = text.trim_start().chars().take(40).collect();
                broken.push(source.at(number, &format!("\"{start}\"")));
            }
        }
    }
    holds("only store knows SQL", &broken);
}

#[test]
fn what_the_books_say_changes_in_commits_only() {
    let (mut broken, mut met) = (Vec::new(), BTreeSet::new());
    for source in sources("crates/store/src") {
        let path = source.path.trim_start_matches("crates/store/src/");
        for (number, text) in literals(source.own_text()) {
            for table in written_tables(&text) {
                let fits = |(file, known, _): &&(&str, &str, &str)| {
                    let file_fits = match file.strip_prefix("*/") {
                        Some(name) => path.split_once('/').is_some_and(|(_, rest)| rest == name),
                        None => path == *file,
                    };
                    file_fits && *known == table
                };
                if let Some(entry) = BESIDE_COMMITS.iter().find(fits) {
                    met.insert(*entry);
                } else if !COMMIT_FILES.contains(&path) {
                    broken.push(source.at(number, &format!("writes `{table}` beside a commit")));
                }
            }
        }
    }
    let gone = BESIDE_COMMITS.iter().filter(|entry| !met.contains(*entry));
    broken.extend(gone.map(|(file, table, _)| format!("{file} writes `{table}` no more")));
    holds("what the books say changes in `Store::commit` only", &broken);
}

#[test]
fn advisory_locks_are_taken_by_their_names() {
    const LIST: &str = "crates/store/src/postgres/locks.rs";
    let mut broken = Vec::new();
    for source in all_sources().into_iter().filter(|source| source.path != LIST) {
        for (number, line) in source.code() {
            if line.contains("pg_advisory") || line.contains("pg_try_advisory") {
                broken.push(source.at(number, &format!("say which of the locks in {LIST} it is")));
            }
        }
    }
    holds("all locks of a database are in one list, so that no two share a number", &broken);
}

#[test]
fn every_route_is_on_one_page_and_who_may_call_it_is_asked() {
    let (mut broken, mut met) = (Vec::new(), BTreeSet::new());
    for source in all_sources() {
        let text = source.own_text();
        let found = ROUTING.iter().flat_map(|words| text.match_indices(words));
        for (at, words) in found {
            let given = text[at + words.len()..].trim_start();
            let line = text[..at].matches('\n').count() + 1;
            let path = given.split(',').next().unwrap().trim();
            if given.starts_with(')') {
                continue; // It asks for a route and adds none.
            }
            if !ROUTE_PAGES.contains(&source.path.as_str()) {
                broken.push(source.at(line, "routes are added in crates/server/src/http.rs only"));
            } else if let Some((known, _)) = UNDOCUMENTED.iter().find(|(known, _)| *known == path) {
                met.insert(*known);
            } else if words != "routes!(" {
                broken.push(source.at(line, &format!("{path}: document it, by `routes!`")));
            }
        }
    }
    let gone = UNDOCUMENTED.iter().filter(|(known, _)| !met.contains(known));
    broken.extend(gone.map(|(known, why)| format!("{known} ({why}) is gone from the routes")));
    holds("a route is on the one page and documented, so that its callers have a rule", &broken);
}

#[test]
fn a_lint_is_expected_with_a_reason_and_never_allowed() {
    let mut broken = Vec::new();
    for source in all_sources().into_iter().chain(test_sources()) {
        for (number, line) in lines_of_code(&source.text) {
            if [concat!("#[al", "low("), concat!("#![al", "low(")].iter().any(|a| line.contains(a))
            {
                broken.push(source.at(number, "write #[expect(lint, reason = \"…\")]"));
            }
        }
    }
    holds("no lint is allowed in silence", &broken);
}

#[test]
fn no_test_is_ignored_in_silence() {
    let mut broken = Vec::new();
    for source in all_sources().into_iter().chain(test_sources()) {
        for (number, line) in lines_of_code(&source.text) {
            if line.contains(concat!("#[ig", "nore]")) {
                broken.push(source.at(number, "say why: #[ignore = \"…\"]"));
            }
        }
    }
    holds("a skipped test says so", &broken);
}

#[test]
fn a_skipped_test_is_counted() {
    let mut broken = Vec::new();
    for source in test_sources().into_iter().filter(|source| !source.path.ends_with("needs.rs")) {
        for (number, line) in lines_of_code(&source.text) {
            if line.to_lowercase().contains(concat!("\"skip", "ped")) {
                broken.push(source.at(number, "say it with `needs::skip`, which is counted"));
            }
        }
    }
    holds("a test is skipped in one way, which `scripts/test` counts", &broken);
}

#[test]
fn a_library_prints_nothing() {
    let mut broken = Vec::new();
    for source in ["crates/store/src", "crates/connectors/src", "crates/server/src"]
        .into_iter()
        .flat_map(sources)
    {
        for (number, line) in source.code() {
            let said = ["println!(", "print!(", "eprintln!(", "eprint!("]
                .into_iter()
                .find(|words| line.contains(words));
            broken.extend(said.map(|words| source.at(number, &format!("`{words}`: log it"))));
        }
    }
    holds("libraries log, the binary prints", &broken);
}

#[test]
fn a_file_is_one_idea_long() {
    let mut broken = Vec::new();
    for source in all_sources() {
        let lines = source.own_text().lines().count();
        if lines > FILE_LINES_MAX {
            broken.push(format!("{}: {lines} lines; split it by intention", source.path));
        }
    }
    holds("a source file has at most 500 lines", &broken);
}

#[test]
fn the_counts_of_lines_are_true() {
    let text = read("ARCHITECTURE.md");
    let mut broken = Vec::new();
    let mut counted = 0;
    for (number, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", names, lines, ..] = cells[..] else { continue };
        let Ok(lines) = lines.replace(' ', "").parse::<usize>() else { continue };
        let names = names.split('`').skip(1).step_by(2);
        let found: usize = names.map(lines_of).sum();
        // Round figures stay true for a while.
        if found.abs_diff(lines) > 50 + lines / 10 {
            broken.push(format!("ARCHITECTURE.md:{}: {lines} lines, not {found}", number + 1));
        }
        counted += 1;
    }
    assert!(counted > 5, "the tables are gone");
    holds("the counts of lines are true", &broken);
}

/// The lines of a crate, or of a file or folder of the store; a file has the folder of its parts.
fn lines_of(name: &str) -> usize {
    let name = name.trim_start_matches("store/src/").trim_end_matches('/');
    let whole = root().join("crates").join(name).join("src");
    let inside = root().join("crates/store/src").join(name);
    let found = match inside.extension() {
        _ if whole.is_dir() => rust_files(&whole),
        Some(_) => {
            let mut found = rust_files(&inside.with_extension(""));
            let file = inside.exists().then(|| read(&relative(&inside)));
            found.extend(file.map(|text| Source { path: name.to_owned(), text }));
            found
        }
        None => rust_files(&inside),
    };
    assert!(!found.is_empty(), "ARCHITECTURE.md names `{name}`, which is not there");
    found.iter().map(|source| source.text.lines().count()).sum()
}

#[test]
fn every_kind_file_is_in_kinds() {
    let kinds = read("crates/core/src/kind.rs");
    let start = kinds.find("pub const KINDS").unwrap();
    let list = &kinds[start..start + kinds[start..].find("];").unwrap()];
    let mut broken = Vec::new();
    for source in sources("crates/core/src/kind") {
        if !source.text.contains("impl Kind for ") {
            continue; // What kinds share.
        }
        let module = source.path.rsplit('/').next().unwrap().trim_end_matches(".rs");
        if !list.contains(&format!("&{module}::")) {
            broken.push(format!("{}: add it to KINDS", source.path));
        }
    }
    holds("a transaction type is one file and one line in KINDS", &broken);
}

#[test]
fn every_limit_says_why() {
    let mut broken = Vec::new();
    for source in sources("crates/core/src").into_iter().chain(sources("crates/server/src")) {
        if !source.path.ends_with("/limits.rs") {
            continue;
        }
        let mut above = "";
        for (number, line) in source.own_text().lines().enumerate() {
            if line.starts_with("pub const") && !above.starts_with("///") {
                broken.push(source.at(number + 1, "a limit has a sentence of why"));
            }
            above = line;
        }
    }
    holds("limits are named in one file, with their reasons", &broken);
}

#[test]
fn migrations_are_numbered_and_the_same_on_every_backend() {
    let mut broken = Vec::new();
    let mut by_backend: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in files(&root().join("crates/store/migrations")) {
        let relative = relative(&path);
        let mut parts = relative.rsplit('/');
        let (name, backend) = (parts.next().unwrap(), parts.next().unwrap());
        let names = by_backend.entry(backend.to_owned()).or_default();
        names.push(name.to_owned());
        if migration_number(name) != Some(names.len()) {
            broken.push(format!("{relative}: the next name is V{:04}__name.sql", names.len()));
        }
    }
    let mut backends = by_backend.into_iter();
    if let Some((first, names)) = backends.next() {
        for (other, others) in backends.filter(|(_, others)| *others != names) {
            broken.push(format!("{other} has {others:?}, {first} has {names:?}"));
        }
    }
    holds("migrations have the same numbers and names everywhere", &broken);
}

#[test]
fn the_text_names_no_machine() {
    let words = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let begins = |c: char| c.is_whitespace() || "\"'`(=:<>[,".contains(c);
    let mut broken = Vec::new();
    for path in files(&root()) {
        let Ok(text) = fs::read_to_string(&path) else {
            continue; // Not a text.
        };
        for (number, line) in text.lines().enumerate() {
            let named = words.iter().any(|word| {
                line.match_indices(word)
                    .any(|(at, _)| line[..at].chars().next_back().is_none_or(begins))
            });
            if named {
                broken.push(format!("{}:{}: a machine's own path", relative(&path), number + 1));
            }
        }
    }
    holds("the project works in any place", &broken);
}

#[test]
fn the_papers_are_in_order() {
    let mut broken = Vec::new();
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        if !root().join(name).is_file() {
            broken.push(format!("{name} is missing"));
        }
    }
    let adrs = files(&root().join("docs/adr"));
    let names = adrs.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    let numbered = names.filter(|name| name.ends_with(".md") && name != "README.md");
    for (index, name) in numbered.enumerate() {
        let number = name.split('-').next().unwrap();
        if number.len() != 3 || number.parse() != Ok(index + 1) {
            broken.push(format!("docs/adr/{name}: the next number is {:03}", index + 1));
        }
    }
    holds("the papers are there and the decisions are numbered without gaps", &broken);
}

#[test]
fn every_crate_obeys_the_one_lint_table_and_the_one_list_of_versions() {
    let mut broken = Vec::new();
    for (name, manifest) in manifests() {
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        if lints.and_then(toml::Value::as_bool) != Some(true) {
            broken.push(format!("{name}: [lints] workspace = true is missing"));
        }
        for (dependency, value) in dependency_tables(&manifest) {
            if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                broken.push(format!("{name}: {dependency} has a version of its own"));
            }
        }
    }
    holds("one lint table, one list of versions", &broken);
}

/// Fails with the law and every place where it is broken.
fn holds(law: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{law}; but:\n  {}\n", broken.join("\n  "));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_string_lossy().into_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// All files below a folder, sorted; what is built, downloaded or hidden is left out.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        let hidden = name.starts_with('.') && name != ".ci" && name != ".github";
        if hidden || name == "target" || name.contains(".db") {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A Rust source file.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// The text without the tests at its end.
    fn own_text(&self) -> &str {
        let end = self.text.find("#[cfg(test)]\nmod ").unwrap_or(self.text.len());
        &self.text[..end]
    }

    /// The numbered lines that are neither comments nor tests.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        lines_of_code(self.own_text())
    }
}

fn lines_of_code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    numbered.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The sources below a folder; files that hold nothing but tests are left out.
fn sources(folder: &str) -> Vec<Source> {
    let below = rust_files(&root().join(folder));
    let tests = |path: &str| path.ends_with("/tests.rs") || path.contains("/tests/");
    below.into_iter().filter(|source| !tests(&source.path)).collect()
}

fn rust_files(folder: &Path) -> Vec<Source> {
    let rust = files(folder).into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"));
    rust.map(|path| Source { text: fs::read_to_string(&path).unwrap(), path: relative(&path) })
        .collect()
}

fn crate_folders() -> Vec<String> {
    let mut folders = vec![".".to_owned()];
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        folders.push(format!("crates/{}", entry.unwrap().file_name().to_string_lossy()));
    }
    folders.sort();
    folders
}

fn all_sources() -> Vec<Source> {
    let folder = |folder: &String| {
        if folder == "." { "src".into() } else { format!("{folder}/src") }
    };
    crate_folders().iter().flat_map(|name| sources(&folder(name))).collect()
}

fn test_sources() -> Vec<Source> {
    let folders = crate_folders();
    folders.iter().flat_map(|folder| rust_files(&root().join(folder).join("tests"))).collect()
}

/// Every crate's manifest under the crate's name.
fn manifests() -> BTreeMap<String, toml::Table> {
    let read = |folder: &String| {
        let text = read(&format!("{folder}/Cargo.toml"));
        let manifest: toml::Table = toml::from_str(&text).unwrap();
        let name = manifest["package"]["name"].as_str().unwrap().to_owned();
        (name, manifest)
    };
    crate_folders().iter().map(read).collect()
}

fn dependency_tables(manifest: &toml::Table) -> Vec<(String, toml::Value)> {
    tables_of(manifest, &["dependencies", "dev-dependencies", "build-dependencies"])
}

fn tables_of(manifest: &toml::Table, names: &[&str]) -> Vec<(String, toml::Value)> {
    let tables = names.iter().filter_map(|name| manifest.get(*name)?.as_table());
    tables.flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn dependencies(manifest: &toml::Table) -> Vec<String> {
    dependency_tables(manifest).into_iter().map(|(name, _)| name).collect()
}

/// The number in `V0001__name.sql`.
fn migration_number(name: &str) -> Option<usize> {
    let (number, rest) = name.strip_prefix('V')?.split_once("__")?;
    let title = rest.strip_suffix(".sql")?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (number.len() == 4 && !title.is_empty() && title.chars().all(plain))
        .then(|| number.parse().ok())?
}

/// The tables that a text inserts into, updates or deletes from, if it is SQL; `?` for one whose
/// name is put in when it runs.
fn written_tables(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut tables = Vec::new();
    for at in 0..words.len() {
        let table = match words[at..] {
            ["insert", "into", table, ..] | ["delete", "from", table, ..] => table,
            ["insert", "or", _, "into", table, ..] => table,
            ["update", table, "set", ..] | ["update", table, _, "set", ..] => table,
            ["update", table, "as", _, "set", ..] => table,
            _ => continue,
        };
        let table = table.split(['(', '.']).next().unwrap_or_default();
        tables.push(if table.starts_with('{') { "?".to_owned() } else { table.to_owned() });
    }
    tables
}

fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part))
}

/// Whether a text begins as a statement does; sentences for people do not.
fn is_sql(text: &str) -> bool {
    let text = text.trim_start().to_lowercase();
    let has = |word: &str| text.contains(word);
    (text.starts_with("select ") && (has(" from ") || has("(")))
        || text.starts_with("insert into ")
        || text.starts_with("insert or ")
        || (text.starts_with("update ") && has(" set "))
        || text.starts_with("delete from ")
        || ["create table ", "create index ", "create unique index ", "create virtual table "]
            .iter()
            .any(|start| text.starts_with(start))
        || text.starts_with("pragma ")
        || text.starts_with("begin immediate")
}

/// The string literals of a source, each with the line that it begins in.
fn literals(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(c) = rest.chars().next() {
        let (length, literal) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), None)
        } else if let Some((length, body)) = raw_literal(rest) {
            (length, Some(body))
        } else if c == '"' {
            let end = quoted_end(rest);
            (end, Some(&rest[1..end.saturating_sub(1).max(1)]))
        } else if ["'\"'", "b'\"'"].iter().any(|quote| rest.starts_with(quote)) {
            (rest.find("\"'").unwrap() + 2, None)
        } else {
            (c.len_utf8(), None)
        };
        found.extend(literal.map(|body| (line, body.to_owned())));
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

/// The length and the body of the raw string literal that the text begins with.
fn raw_literal(text: &str) -> Option<(usize, &str)> {
    let after = text.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&close)?;
    Some((1 + hashes + 1 + end + close.len(), &body[..end]))
}

/// Where the quoted literal that the text begins with is over.
fn quoted_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    text.len()
}

#[test]
fn the_reader_of_literals_sees_what_the_compiler_sees() {
    let source = "let a = \"select \\\" x from y\"; // \"insert into no\"\nlet q = '\"';\n\
                  f(r#\"delete from \"t\"\"#, \"fine\")";
    let found: Vec<(usize, bool)> =
        literals(source).into_iter().map(|(line, text)| (line, is_sql(&text))).collect();
    assert_eq!(found, [(1, true), (3, true), (3, false)]);
}
