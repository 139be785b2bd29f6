use super::*;

fn names(text: &str) -> Vec<String> {
    Script::of(text).all().iter().map(|c| c.name().to_string()).collect()
}

#[test]
fn commands_are_found_where_a_shell_finds_them() {
    for (text, wanted) in [
        ("rm -rf ~/.labdemo", "rm"),
        ("a b; c 'd; e' \"f | g\" && h # i; j\nk", "a c h k"),
        ("X=1 Y=\"a b\" /usr/bin/env Z=2 sleep 1", "sleep"),
        ("sudo -u bob timeout -k 1 5 sleep 1 | xargs -n 1 kill", "sleep kill"),
        (
            "n=$(cat f 2>/dev/null | tail -1); echo $((1 << 2)) \"`date`\"",
            " echo cat tail date",
        ),
        ("if ! grep -q x f; then\n  b\nelse c; fi", "grep b c fi"),
        ("until pgrep x; do sleep 1; done", "pgrep sleep done"),
        ("cat <<'EOF' > f\nsleep 5; it's\nEOF\nls", "cat ls"),
        ("cat <<< sleep; a 2>&1 >/dev/null &>f b", "cat a"),
        (
            "bash -lc 'xdotool key a' && su - bob -c \"sleep 2\"",
            "bash su xdotool sleep",
        ),
        ("a \\\n  sleep", "a"),
        ("(cd x && make) || exit 1", "cd make exit"),
        ("command -v xdotool", "command"),
        ("diff <(sort a) b", "diff sort"),
        ("a ||\n{\n  b; }", "a b }"),
    ] {
        assert_eq!(names(text).join(" "), wanted, "{text}");
    }
    assert_eq!(Script::of("a ||\n{\n  b\n}").commands[1].join, Join::Or);
    assert!(names("# nothing").is_empty());
}

#[test]
fn nothing_is_too_deep() {
    for piece in ["$(", "`", "sh -c '", "${", "\"$(", "<(", "{ ("] {
        let _ = Script::of(&piece.repeat(5000)).constant_exit();
    }
}

#[test]
fn constant_exit_codes() {
    for (text, code) in [
        ("true", Some(0)),
        (":", Some(0)),
        ("false", Some(1)),
        ("exit 3", Some(3)),
        ("grep x f || true", Some(0)),
        ("grep x f ||\n  true", Some(0)),
        ("a && b || :", Some(0)),
        ("a; exit 0", Some(0)),
        ("a | true", Some(0)),
        ("a && true", None),
        ("a || false", None),
        ("a || exit 1", None),
        ("! true", None),
        ("[ -f x ] || exit 1; true", None),
        ("set -e; a; true", None),
        ("a && (b || true)", None),
        ("if a; then b; else true; fi", None),
        ("while true; do a && break; done", None),
        ("echo 'a || true'", None),
        ("exit $code", None),
        ("", None),
    ] {
        assert_eq!(Script::of(text).constant_exit(), code, "{text}");
    }
}

#[test]
fn pipes_that_hide() {
    for (text, hides) in [
        ("make | tee log", true),
        ("a && b | sort", true),
        ("ps -e | grep -q x", false),
        ("echo x | cat", false),
        ("set -o pipefail; make | tee log", false),
        ("echo 'a | b'", false),
        ("a || b", false),
    ] {
        assert_eq!(Script::of(text).hides_in_a_pipe(), hides, "{text}");
    }
}

#[test]
fn what_is_thrown_away() {
    for (text, quiet) in [
        ("a 2>/dev/null", true),
        ("a >/dev/null 2>&1", true),
        ("a &> /dev/null", true),
        ("a 2> /tmp/x", false),
        ("a >/dev/null", false),
        ("a 2>&1", false),
    ] {
        assert_eq!(Script::of(text).commands[0].quiet, quiet, "{text}");
    }
}

#[test]
fn variables_that_nobody_sets() {
    for (text, wanted) in [
        ("grep -q \"user=$usr\" f", "usr"),
        (
            "echo $a \"${b}\" ${#c} ${d%x} ${e[0]} $1 $? $$ $@ ${1} \\$f '$g' \"\\$h\" # $i",
            "a b c d e",
        ),
        ("a=1; b+=2; c[1]=x; echo $a $b $c", ""),
        ("X=1 Y=2 sh -c 'echo $X $Y $Z'", "Z"),
        ("env A=1 sh -c 'echo $A'", ""),
        ("grep \"a=$a\" f", "a"),
        ("export A=1 B; local c=$d; echo $A $B $c", "d"),
        ("for i in 1 2; do echo $i; done", ""),
        ("while IFS= read -r line rest; do echo \"$line$rest\"; done < f", ""),
        ("echo ${a:-none} ${b-} ${c:=x} ${d+y} ${e:?no} $c", ""),
        ("echo ${a:-$b}", "b"),
        ("echo $(( $n + 1 )) $(cat $f) `ls $g`", "n f g"),
        ("x=$(cat f); echo \"$x\"", ""),
        ("if y=$(cat f); then echo $y; fi", ""),
        (". ./vars; echo $a", ""),
        ("eval \"$(tool)\"; echo $a", ""),
        ("echo $env:user", ""),
        ("printf -v out %s x; getopts ab opt; echo $out $opt", ""),
        ("awk '{print $name}' f; cat <<'E'\n$x\nE\n", ""),
        ("f() { echo $1; }; f \"$who\"", "who"),
    ] {
        assert_eq!(Script::of(text).unset().join(" "), wanted, "{text}");
    }
    assert!(is_usual("XDG_RUNTIME_DIR") && is_usual("HOME") && !is_usual("user"));
}
