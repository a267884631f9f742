internal import Glibc

/// How many bytes this process may still write on a file system. Nil: the system does not tell, or the file system
/// says that it has no blocks at all, as some do that are no disk; what no number holds is the most that one does.
package enum DiskRoom {
    /// The system's code of a call that found no room: on the file system, in a quota, or below a limit on the size of
    /// files.
    static func isLacking(_ code: Int32) -> Bool { [ENOSPC, EDQUOT, EFBIG].contains(code) }

    /// As `isLacking`, or neither the process nor the machine had a descriptor left: the same can be done again.
    static func mayPass(_ code: Int32) -> Bool {
        isLacking(code) || [EMFILE, ENFILE].contains(code)
    }

    static func bytes(of descriptor: Int32) -> UInt64? {
        var facts = statvfs()
        return fstatvfs(descriptor, &facts) == 0 ? bytes(facts) : nil
    }

    /// - Parameter path: of a file or a directory there.
    package static func bytes(at path: String) -> UInt64? {
        var facts = statvfs()
        return statvfs(path, &facts) == 0 ? bytes(facts) : nil
    }

    private static func bytes(_ facts: statvfs) -> UInt64? {
        guard facts.f_blocks > 0 else { return nil }
        let (bytes, overflow) = UInt64(facts.f_bavail)
            .multipliedReportingOverflow(by: UInt64(facts.f_frsize))
        return overflow ? .max : bytes
    }
}
