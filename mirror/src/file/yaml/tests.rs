use tranship::ErrorKind;

use super::*;

/// Writes a tree with the place of each node.
fn shown(node: &Node) -> String {
    let at = format!("{}:{}", node.position.line, node.position.column);
    match &node.value {
        Value::Scalar { text, kind } => {
            let kind = match kind {
                Kind::Null => "null",
                Kind::Bool => "bool",
                Kind::Number => "number",
                Kind::Text => "text",
            };
            format!("{at} {kind} {text:?}")
        }
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            format!("{at} [{}]", items.join(", "))
        }
        Value::Map(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| {
                    let Position { line, column } = key.position;
                    format!("{line}:{column} {} = {}", key.text, shown(value))
                })
                .collect();
            format!("{at} {{{}}}", entries.join(", "))
        }
    }
}

fn read(content: &str) -> String {
    shown(&Node::read("f.yaml", content, false).expect(content))
}

#[test]
fn values_keep_their_text_and_place() {
    for (content, expected) in [
        ("a: 3.20", "1:1 {1:1 a = 1:4 number \"3.20\"}"),
        ("a: '3.20'", "1:1 {1:1 a = 1:4 text \"3.20\"}"),
        ("a: 0x1F", "1:1 {1:1 a = 1:4 number \"0x1F\"}"),
        ("a: 1_000", "1:1 {1:1 a = 1:4 number \"1_000\"}"),
        ("a: 010", "1:1 {1:1 a = 1:4 number \"010\"}"),
        ("a: 1e999", "1:1 {1:1 a = 1:4 number \"1e999\"}"),
        (
            "a: 99999999999999999999999999999999999999999",
            "1:1 {1:1 a = 1:4 number \"99999999999999999999999999999999999999999\"}",
        ),
        ("a: yes", "1:1 {1:1 a = 1:4 bool \"yes\"}"),
        ("a: true # b", "1:1 {1:1 a = 1:4 bool \"true\"}"),
        ("a:", "1:1 {1:1 a = 1:2 null \"\"}"),
        ("a: null", "1:1 {1:1 a = 1:4 null \"null\"}"),
        ("3.20: x", "1:1 {1:1 3.20 = 1:7 text \"x\"}"),
        (
            "a: é\nb: 3.10",
            "1:1 {1:1 a = 1:4 text \"é\", 2:1 b = 2:4 number \"3.10\"}",
        ),
        (
            "a:\n  - x\n  - 2.0",
            "1:1 {1:1 a = 2:3 [2:5 text \"x\", 3:5 number \"2.0\"]}",
        ),
        (
            "{\n\t\"a\": [1.0]\n}",
            "1:1 {2:2 a = 2:7 [2:8 number \"1.0\"]}",
        ),
        (
            "x: &x {a: 1.0}\ny:\n  <<: *x\n  b: 2",
            "1:1 {1:1 x = 1:7 {1:8 a = 1:11 number \"1.0\"}, 2:1 y = 3:3 {4:3 b = 4:6 number \"2\", 1:8 a = 1:11 number \"1.0\"}}",
        ),
        ("", "1:1 null \"\""),
    ] {
        assert_eq!(read(content), expected, "{content}");
    }
}

#[test]
fn a_number_with_a_tag_has_no_text() {
    assert_eq!(read("a: !!int '3'"), "1:1 {1:1 a = 1:10 number \"\"}");
}

#[test]
fn what_is_not_yaml_is_an_error_with_its_place() {
    for (content, expected) in [
        ("a: [1", "f.yaml:1:"),
        ("a: 1\na: 2", "f.yaml:2:1: "),
        (
            "a: *b",
            "f.yaml:1:4: the alias refers to an anchor that does not exist",
        ),
        (
            "a: 1\n---\nb: 2",
            "f.yaml:3:1: the file has more than one YAML document",
        ),
        ("? [a]\n: b", "f.yaml:1:3: "),
    ] {
        let result = Node::read("f.yaml", content, false);
        let error = result.err().expect(content);
        assert!(error.to_string().starts_with(expected), "{error}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert!(Node::read("f.yaml", "a: 1\na: 2", true).is_ok());
}

#[test]
fn no_error_shows_lines_of_the_file() {
    let content = "password: hunter2\na: [1\n";
    let error = Node::read("f.yaml", content, false).err().expect("open");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn depth_nodes_and_aliases_are_bounded() {
    let deep = format!("a: {}{}", "[".repeat(100), "]".repeat(100));
    let deep_blocks: String = (0..100).map(|depth| " ".repeat(depth) + "a:\n").collect();
    let many = format!("a: [{}]", "1,".repeat(100_001));
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let aliases = format!("*a{}, ", level - 1).repeat(10);
        laughs += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    for (content, expected) in [
        (deep, "recursion limit exceeded"),
        (deep_blocks, "the file is too large or too deeply nested"),
        (many, "the file is too large or too deeply nested"),
        (laughs, "the aliases of the file repeat too much"),
    ] {
        let error = Node::read("f.yaml", &content, true).err();
        let message = error.expect(&content[..20]).to_string();
        assert!(message.ends_with(expected), "{message}");
    }
}
