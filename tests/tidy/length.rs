//! Files and functions stay short enough to be read in one go.

use crate::lexer::Source;
use crate::tree::{Finding, Tree};

/// The most lines of a Rust file.
const FILE_LINES: usize = 400;
/// The most lines of a function, from `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;

/// No Rust file and no function is too long.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.sources() {
        let lines = tree.text(path).map_or(0, |text| text.lines().count());
        if lines > FILE_LINES {
            let message = format!("{lines} lines, and {FILE_LINES} is the most; split it by what its parts are about");
            findings.push(Finding::new(path, FILE_LINES + 1, message));
        }
        for function in functions(source).filter(|function| function.lines > FUNCTION_LINES) {
            let Function { name, line, lines } = function;
            let message = format!("fn {name} has {lines} lines, and {FUNCTION_LINES} is the most; name its steps");
            findings.push(Finding::new(path, line, message));
        }
    }
    findings
}

struct Function<'a> {
    name: &'a str,
    line: usize,
    lines: usize,
}

/// Every function with a body, those inside macros included.
fn functions(source: &Source) -> impl Iterator<Item = Function<'_>> {
    (0..source.tokens.len()).filter(|at| source.tokens[*at].is("fn")).filter_map(|at| {
        let name = source.word(at + 1)?;
        let body = body(source, at + 2)?;
        let line = source.tokens[at].line;
        let lines = source.tokens[source.tokens[body].partner].line - line + 1;
        Some(Function { name: &name.text, line, lines })
    })
}

/// Where a signature's body opens; a declaration has none.
fn body(source: &Source, mut at: usize) -> Option<usize> {
    loop {
        let token = source.tokens.get(at)?;
        let is_bracket = token.is("(") || token.is("[") || token.is("{");
        if is_bracket {
            let after = Some(token.partner + 1);
            // A brace inside a type, `Ring<{ SIZE }>`, goes on with the type.
            if token.is("{") && !source.is(after, ">") && !source.is(after, ",") {
                return Some(at);
            }
            at = token.partner;
        } else if token.is(";") || token.is("}") || token.is(")") {
            return None;
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests;
