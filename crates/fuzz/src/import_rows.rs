//! Files to import.

use std::io::Cursor;

use daybook::import::check_rows;

/// How rows may be mapped; without a mapping they are bodies of the API.
const MAPPINGS: &[Option<&str>] = &[
    None,
    Some(include_str!("../../../mappings/berka.toml")),
    Some(include_str!("../../../mappings/berka-ledger.toml")),
];

/// Every row is taken or named with its line, and a row costs no other one. The first byte chooses
/// the mapping.
pub fn import_rows(data: &[u8]) {
    let Some((chosen, file)) = data.split_first() else {
        return;
    };
    let chosen = usize::from(*chosen) % MAPPINGS.len();
    let mapping = *MAPPINGS.get(chosen).expect("one of them");
    let check = |file: &[u8]| check_rows(Cursor::new(file.to_vec()), mapping);
    let Ok((good, rejected)) = check(file) else {
        assert!(mapping.is_some(), "only a header can be wrong as a whole");
        return;
    };
    let lines = file.split(|byte| *byte == b'\n').count() as u64;
    assert!(good + rejected.len() as u64 <= lines, "more rows than lines");
    let numbers: Vec<u64> = rejected.iter().map(|(line, _)| *line).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b) && numbers.iter().all(|line| *line <= lines));
    // A mark of the byte order belongs at the beginning of a file only.
    if mapping.is_none() && !file.contains(&0xef) {
        let alone = |line: &[u8]| check(line).map_or(0, |(good, _)| good);
        assert_eq!(good, file.split(|byte| *byte == b'\n').map(alone).sum::<u64>());
    }
}
