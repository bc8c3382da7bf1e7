//! A list without a header has one column: its keys.

use pushwatch::render::safe;

/// The first line that a list of several columns needs.
const HEADER: &str = "uploader,reason,until";

/// Makes sure that a line without a header is no line of a table, or else its first
/// columns would pass for a key: IAM takes commas in names.
///
/// # Errors
/// When it is, with what to write.
pub fn check_one_column(line: &str) -> Result<(), String> {
    let shown = safe(line, 80);
    for (separator, name) in [(';', "`;`"), ('\t', "a tab")] {
        if line.contains(separator) {
            return Err(format!(
                "`{shown}` has {name} in it: columns are separated by commas, below a header \
                 such as {HEADER}"
            ));
        }
    }
    if line.contains(',') {
        return Err(format!(
            "`{shown}` has several columns, and none says which is the key: begin the list with \
             a header such as {HEADER}, and quote a key that has a comma in it"
        ));
    }
    Ok(())
}
