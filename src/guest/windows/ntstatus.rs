//! Exit codes that tell how Windows ended a program: it has no signals.

/// The names of those that programs die of (ntstatus.h), and of two runtimes that use such codes for their own.
const NAMES: &[(u32, &str)] = &[
    (0x4000_0015, "STATUS_FATAL_APP_EXIT"),
    (0x8000_0003, "STATUS_BREAKPOINT"),
    (0x8000_0004, "STATUS_SINGLE_STEP"),
    (0xC000_0005, "STATUS_ACCESS_VIOLATION"),
    (0xC000_0006, "STATUS_IN_PAGE_ERROR"),
    (0xC000_0008, "STATUS_INVALID_HANDLE"),
    (0xC000_0017, "STATUS_NO_MEMORY"),
    (0xC000_001D, "STATUS_ILLEGAL_INSTRUCTION"),
    (0xC000_0025, "STATUS_NONCONTINUABLE_EXCEPTION"),
    (0xC000_008C, "STATUS_ARRAY_BOUNDS_EXCEEDED"),
    (0xC000_008E, "STATUS_FLOAT_DIVIDE_BY_ZERO"),
    (0xC000_0094, "STATUS_INTEGER_DIVIDE_BY_ZERO"),
    (0xC000_0095, "STATUS_INTEGER_OVERFLOW"),
    (0xC000_0096, "STATUS_PRIVILEGED_INSTRUCTION"),
    (0xC000_00FD, "STATUS_STACK_OVERFLOW"),
    (0xC000_0135, "STATUS_DLL_NOT_FOUND"),
    (0xC000_0139, "STATUS_ENTRYPOINT_NOT_FOUND"),
    (0xC000_013A, "STATUS_CONTROL_C_EXIT"),
    (0xC000_0142, "STATUS_DLL_INIT_FAILED"),
    (0xC000_0374, "STATUS_HEAP_CORRUPTION"),
    (0xC000_0409, "STATUS_STACK_BUFFER_OVERRUN"),
    (0xC000_041D, "STATUS_FATAL_USER_CALLBACK_EXCEPTION"),
    (0xC000_0420, "STATUS_ASSERTION_FAILURE"),
    (0xC000_0602, "STATUS_FAIL_FAST_EXCEPTION"),
    (0xE043_4352, "an unhandled .NET exception"),
    (0xE06D_7363, "an unhandled C++ exception"),
];

/// What the exit code says of a program that did not end by itself; none for codes that programs give. Exit codes of Linux
/// are never so large.
pub fn name(code: i32) -> Option<&'static str> {
    let status = code.cast_unsigned();
    let known = NAMES.iter().find(|(known, _)| *known == status).map(|(_, name)| *name);
    // Of severity "error", and the system's own: the top nibble is 0xC (ntstatus.h).
    known.or((status >> 28 == 0xC).then_some("an NTSTATUS error"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::Exit;

    #[test]
    fn crashes_are_told_from_codes() {
        assert_eq!(name(-1_073_741_819), Some("STATUS_ACCESS_VIOLATION"));
        assert_eq!(name(0xC000_0999_u32.cast_signed()), Some("an NTSTATUS error"));
        for code in [0, 1, 255, 1602, 3010, -1, -2, i32::MIN] {
            assert_eq!(name(code), None, "{code}");
        }
        assert_eq!(
            Exit::Code(-1_073_740_791).to_string(),
            "exit code 0xC0000409 (STATUS_STACK_BUFFER_OVERRUN)"
        );
        assert_eq!(Exit::Code(-1).to_string(), "exit code -1");
    }
}
