//! A statement whose text and parameters are written side by side. What is added depends on the
//! shape of a question alone, so that there are few texts and they stay prepared.

use super::param::Param;

#[derive(Default)]
pub struct Ask<'a> {
    pub sql: String,
    pub params: Vec<&'a dyn Param>,
}

impl<'a> Ask<'a> {
    pub fn push(&mut self, text: &str) -> &mut Self {
        self.sql.push_str(text);
        self
    }

    /// Adds a parameter, and its place to the text.
    pub fn bind(&mut self, value: &'a dyn Param) -> &mut Self {
        self.params.push(value);
        let place = format!("${}", self.params.len());
        self.push(&place)
    }

    /// Puts text around what is there.
    pub fn around(&mut self, before: &str, behind: &str) {
        self.sql.insert_str(0, before);
        self.push(behind);
    }
}
