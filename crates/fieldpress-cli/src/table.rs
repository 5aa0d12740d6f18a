//! Tables as aligned text, Markdown and CSV.

/// Rows of cells under a head. The first columns are aligned to the left, all others to the right.
pub(crate) struct Table {
    head: Vec<String>,
    left: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str], left: usize) -> Table {
        Table { head: head.iter().map(|h| h.to_string()).collect(), left, rows: Vec::new() }
    }
    pub(crate) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.head.iter().map(|h| h.chars().count()).collect();
        for row in &self.rows {
            for (w, cell) in widths.iter_mut().zip(row) {
                *w = (*w).max(cell.chars().count());
            }
        }
        widths
    }
    fn line(&self, cells: &[String], widths: &[usize], gap: &str) -> String {
        let padded = cells.iter().zip(widths).enumerate().map(|(i, (cell, &w))| {
            if i < self.left {
                format!("{cell:<w$}")
            } else {
                format!("{cell:>w$}")
            }
        });
        padded.collect::<Vec<_>>().join(gap)
    }
    /// Columns two spaces apart.
    pub(crate) fn text(&self) -> String {
        let widths = self.widths();
        let lines =
            std::iter::once(&self.head).chain(&self.rows).map(|r| self.line(r, &widths, "  ")).collect::<Vec<_>>();
        lines.iter().map(|l| l.trim_end()).collect::<Vec<_>>().join("\n")
    }
    /// A Markdown table.
    pub(crate) fn markdown(&self) -> String {
        let escape = |row: &Vec<String>| row.iter().map(|c| c.replace('|', "\\|")).collect::<Vec<_>>();
        let escaped = Table { head: self.head.clone(), left: self.left, rows: self.rows.iter().map(escape).collect() };
        let widths = escaped.widths();
        let rule: Vec<String> = widths
            .iter()
            .enumerate()
            .map(|(i, &w)| if i < self.left { "-".repeat(w) } else { format!("{}:", "-".repeat(w - 1)) })
            .collect();
        let rows = [&escaped.head, &rule].into_iter().chain(&escaped.rows);
        rows.map(|r| format!("| {} |", self.line(r, &widths, " | "))).collect::<Vec<_>>().join("\n")
    }
    /// Comma-separated values as RFC 4180 has them.
    pub(crate) fn csv(&self) -> String {
        let quote = |c: &String| {
            if c.contains([',', '"', '\n']) {
                format!("\"{}\"", c.replace('"', "\"\""))
            } else {
                c.clone()
            }
        };
        let lines =
            std::iter::once(&self.head).chain(&self.rows).map(|r| r.iter().map(quote).collect::<Vec<_>>().join(","));
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_table_three_ways() {
        let mut t = Table::new(&["name", "n"], 1);
        t.push(vec!["a|b".into(), "1".into()]);
        t.push(vec!["long, \"q\"".into(), "10".into()]);
        assert_eq!(t.text(), "name        n\na|b         1\nlong, \"q\"  10");
        assert_eq!(t.csv(), "name,n\na|b,1\n\"long, \"\"q\"\"\",10");
        let lines: Vec<String> = t.markdown().lines().map(String::from).collect();
        assert_eq!(lines[1], "| --------- | -: |");
        assert_eq!(lines[2], "| a\\|b      |  1 |");
    }
}
