import Foundation

/// The root of a machine that has nothing but the C libraries docs/operations.md asks for, and the
/// package that `scripts/dist` made, unpacked somewhere. No Swift, no shell, no setting of any kind.
/// The network is the machine's own.
final class BareSystem: Sendable {
    /// The Debian packages that a machine needs.
    static let libraries = [
        "libc6", "libgcc-s1", "libstdc++6", "libsqlite3-0", "libcrypt1", "libc-ares2", "libcurl4",
    ]

    /// The tarball: scripts/test makes it and says where it is.
    static let package = ProcessInfo.processInfo.environment["RQLITED_DIST"]

    /// Why the tests can't run here; nil when they can.
    static var hindrance: String? {
        if package == nil { return "RQLITED_DIST names no package; scripts/test makes one" }
        if geteuid() != 0 { return "chroot needs root" }
        let tool = "/usr/bin/dpkg-query"
        return FileManager.default.isExecutableFile(atPath: tool) ? nil : "there is no \(tool)"
    }

    /// The program's path in this root; it differs from where it was built, and has a space.
    let executable: String
    private let root: TestDirectory
    private let data: TestDirectory

    /// - Parameters:
    ///   - data: directory that is seen under the same path from within.
    ///   - hosts: the lines of `/etc/hosts`.
    init(data: TestDirectory, hosts: [String]) throws {
        root = try TestDirectory()
        self.data = data
        let root = root.path
        let place = "/srv/un packed"
        try run("mkdir", "-p", "\(root)/etc", "\(root)/proc", "\(root)/dev", "\(root)\(data.path)")
        try run("mkdir", "-p", "\(root)/usr/lib", "\(root)/usr/lib64", "\(root)\(place)")
        try run("ln", "-s", "usr/lib", "usr/lib64", root)
        try run("touch", "\(root)/dev/null", "\(root)/dev/urandom")
        try (hosts.joined(separator: "\n") + "\n").write(
            toFile: "\(root)/etc/hosts", atomically: true, encoding: .utf8)
        try run(
            ["sh", "-c", Self.copying, "sh", root] + Self.libraries)
        try run("tar", "-xzf", Self.package ?? "", "-C", "\(root)\(place)")
        let folders = try FileManager.default.contentsOfDirectory(atPath: "\(root)\(place)")
        executable = "\(place)/\(folders.first ?? "")/bin/rqlited"
    }

    /// Runs a program with this root, under the process ID of what it is put before. The mounts
    /// are its own and go with it.
    var prefix: [String] {
        ["unshare", "--mount", "sh", "-c", Self.entering, "sh", root.path, data.path]
    }

    /// All files, as paths within.
    func files() throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: root.path)
    }

    private static let copying = #"""
        set -e
        root=$1
        shift
        # With what they need themselves, as apt would bring it.
        set -- $(apt-cache --installed --recurse --no-recommends --no-suggests --no-conflicts \
            --no-breaks --no-replaces --no-enhances depends "$@" 2>/dev/null | grep '^[a-z]')
        dpkg-query -L "$@" | grep -E '^(/usr)?/lib(64)?/' | sort -u |
            tar -C / --no-recursion -cf - -T - 2>/dev/null |
            tar -C "$root" --keep-directory-symlink -xf -
        """#

    private static let entering = """
        set -e
        root=$1 data=$2
        shift 2
        mount --bind /proc "$root/proc"
        mount --bind "$data" "$root$data"
        for device in null urandom; do
            mount --bind "/dev/$device" "$root/dev/$device"
        done
        exec env -i /usr/sbin/chroot "$root" "$@"
        """
}
