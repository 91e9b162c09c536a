//! The two tables of the page, as rules.

/// The page that clients read.
const PAGE: &str = include_str!("../../../../docs/records.md");

/// The rows of one table: a list of words for each column, and the answer.
pub struct Table {
    columns: usize,
    rows: Vec<(Vec<Vec<String>>, String)>,
}

impl Table {
    /// The table whose first column has this head.
    fn read(head: &str) -> Self {
        let cells = |line: &str| -> Vec<String> {
            let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
            inner.split('|').map(|cell| cell.trim().to_owned()).collect()
        };
        let mut lines = PAGE.lines().skip_while(|line| !line.starts_with(&format!("| {head} |")));
        let columns = cells(lines.next().expect("the head")).len() - 1;
        let rows = lines.skip(1).take_while(|line| line.starts_with('|')).map(|line| {
            let mut cells = cells(line);
            let answer = cells.pop().expect("an answer");
            assert_eq!(cells.len(), columns, "{line}");
            let words = |cell: &String| cell.split(", ").map(str::to_owned).collect();
            (cells.iter().map(words).collect(), answer)
        });
        Self { columns, rows: rows.collect() }
    }

    /// The marks: version, time.
    pub fn of_marks() -> Self {
        Self::read("`source_version`")
    }

    /// What becomes of it: newness, name, status, money, the rest.
    pub fn of_answers() -> Self {
        Self::read("what is sent is")
    }

    /// The answer of the one row that has this cell.
    pub fn answer(&self, cell: &[&str]) -> &str {
        assert_eq!(cell.len(), self.columns);
        let fits = |words: &[Vec<String>]| {
            let fits = |(words, value): (&Vec<String>, &&str)| {
                words.iter().any(|word| word == "any" || word == value)
            };
            words.iter().zip(cell).all(fits)
        };
        let found: Vec<&str> =
            self.rows.iter().filter(|(words, _)| fits(words)).map(|(_, a)| a.as_str()).collect();
        let [answer] = found[..] else { panic!("{cell:?} stands in {} rows", found.len()) };
        answer
    }

    /// Every word of the table but `any`, so that a test can ask whether it met them all.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        let cells = self.rows.iter().flat_map(|(cells, _)| cells.iter().flatten());
        cells.map(String::as_str).filter(|word| *word != "any")
    }
}

/// How a mark that is sent compares with the stored one.
pub fn mark<T: Ord>(sent: Option<T>, stored: Option<T>, words: [&'static str; 2]) -> &'static str {
    match (sent, stored) {
        (None, None) => "none",
        (None, Some(_)) => "left out",
        (Some(_), None) => "first",
        (Some(sent), Some(stored)) if sent > stored => words[1],
        (Some(sent), Some(stored)) if sent < stored => words[0],
        (Some(_), Some(_)) => "equal",
    }
}

/// How a status that is sent follows the stored one.
pub fn step(stored: &str, sent: &str) -> &'static str {
    match (stored, sent) {
        ("pending", "pending") => "still pending",
        ("pending", _) => "moved on",
        (_, "pending") => "moved back",
        _ if stored == sent => "still final",
        _ => "another final",
    }
}

pub fn another(is_other: bool) -> &'static str {
    if is_other { "another" } else { "the same" }
}
