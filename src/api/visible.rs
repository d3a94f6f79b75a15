//! Texts of others, as people are shown them.

/// Makes characters that cannot be seen visible: a text must not hide what it is, nor turn what stands around it. With `keep_lines` its
/// lines stay lines.
#[must_use]
pub fn visible(text: &str, keep_lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' if keep_lines => out.push('\n'),
            '\u{0}'..='\u{1f}' => {
                out.extend(char::from_u32(0x2400 + u32::from(c)));
            }
            '\u{7f}' => out.push('\u{2421}'),
            _ if hidden(c) => out.push_str(&format!("⟨U+{:04X}⟩", u32::from(c))),
            _ => out.push(c),
        }
    }
    out
}

/// Controls, marks of direction, spaces without width, and separators that some programs take for a new line.
fn hidden(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_hides_or_turns_a_text_is_shown() {
        assert_eq!(
            visible("DROP\u{202e}ELBAT\u{200b}\u{7}", false),
            "DROP⟨U+202E⟩ELBAT⟨U+200B⟩␇"
        );
        assert_eq!(visible("a\nb\tç", true), "a\nb␉ç");
        assert_eq!(visible("a\nb", false), "a␊b");
    }
}
