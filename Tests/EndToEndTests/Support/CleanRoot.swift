import Foundation

/// A Debian 12 as debootstrap makes it, of this test's own, with Debian's mirror in reach.
final class CleanRoot: Sendable {
    static let package = ProcessInfo.processInfo.environment["RQLITED_DEB"]
    private static let template = ProcessInfo.processInfo.environment["RQLITED_CLEAN_ROOT"]

    /// Why the tests can't run here; nil when they can.
    static var hindrance: String? {
        if package == nil { return "RQLITED_DEB names no package; scripts/test makes one" }
        return template == nil ? "debootstrap needs root and Debian's mirror" : nil
    }

    let path: String
    private let directory: TestDirectory

    init() throws {
        directory = try TestDirectory()
        path = "\(directory.path)/root"
        try run("cp", "-a", "--reflink=auto", Self.template ?? "", path)
        try run("cp", "/etc/resolv.conf", "\(path)/etc/resolv.conf")
        try run("cp", Self.package ?? "", "\(path)/rqlited.deb")
    }

    /// What is put before a command to run it inside, with /proc and the null devices that
    /// debootstrap made; the mounts are its own and go with it.
    var prefix: [String] {
        [
            "unshare", "--mount", "sh", "-c",
            "root=$1; shift; mount --bind /proc \"$root/proc\" && exec /usr/sbin/chroot \"$root\" "
                + "env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \"$@\"",
            "sh", path,
        ]
    }

    /// Runs a program inside.
    @discardableResult
    func inside(_ words: String...) throws -> String { try run(prefix + words) }
}
