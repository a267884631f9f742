import Foundation
import Testing

/// The package of `scripts/deb`, from installing to purging, on a Debian that has nothing but its
/// base. systemd does not run there: the service's own command line is run under its user.
@Suite(
    .serialized,
    .enabled(if: CleanRoot.hindrance == nil, "\(CleanRoot.hindrance ?? "")"))
struct DebianPackageTests {
    @Test func `It installs what it needs, runs as its own user, and leaves when it is told`()
        async throws
    {
        let root = try CleanRoot()
        try root.inside("apt-get", "update", "-qq")
        try root.inside(
            "apt-get", "install", "-y", "-qq", "--no-install-recommends", "/rqlited.deb")
        let owner = try root.inside("stat", "-c", "%U:%G %a", "/var/lib/rqlite")
        #expect(owner == "rqlite:rqlite 750\n")

        let unit = try String(
            contentsOfFile: "\(root.path)/lib/systemd/system/rqlited.service", encoding: .utf8)
        #expect(unit.contains("\nExecStart=/usr/bin/rqlited $RQLITED_FLAGS /var/lib/rqlite/data\n"))
        #expect(unit.contains("\nUser=rqlite\n"))
        try await expectService(root)

        try root.inside("apt-get", "remove", "-y", "-qq", "rqlited")
        #expect(FileManager.default.fileExists(atPath: "\(root.path)/var/lib/rqlite/data"))
        #expect(!FileManager.default.fileExists(atPath: "\(root.path)/usr/bin/rqlited"))
        try root.inside("apt-get", "purge", "-y", "-qq", "rqlited")
        #expect(!FileManager.default.fileExists(atPath: "\(root.path)/var/lib/rqlite"))
        #expect(!FileManager.default.fileExists(atPath: "\(root.path)/etc/default/rqlited"))
        #expect(!FileManager.default.fileExists(atPath: "\(root.path)/usr/lib/rqlite"))
    }

    /// One node, found through the `dns` plugin of the package.
    private func expectService(_ root: CleanRoot) async throws {
        // What an installer of Debian would have written.
        try "127.0.0.1 localhost rqlite.test\n".write(
            toFile: "\(root.path)/etc/hosts", atomically: true, encoding: .utf8)
        let ports = try freePorts(2)
        let flags = [
            "-node-id", "1", "-http-addr", "127.0.0.1:\(ports[0])", "-raft-addr",
            "127.0.0.1:\(ports[1])", "-disco-mode=dns", #"-disco-config={"name":"rqlite.test"}"#,
            "-bootstrap-expect", "1",
        ]
        let user = ["setpriv", "--reuid=rqlite", "--regid=rqlite", "--clear-groups"]
        let log = "\(root.path)/log"
        let node = try ChildProcess(
            root.prefix + user + ["/usr/bin/rqlited"] + flags + ["/var/lib/rqlite/data"],
            output: log)
        defer { node.kill() }
        let client = HTTPClient(base: "http://127.0.0.1:\(ports[0])")
        do {
            try await eventually("the node is ready") {
                try await client.get("/readyz", timeout: .seconds(2)).status == 200 ? true : nil
            }
            _ = try await client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(7)"])
            #expect(try await client.rows("SELECT v FROM t").first?[0].int == 7)
            node.kill(SIGTERM)
            #expect(try await eventually("it ends") { node.exitStatus } == 0)
        } catch {
            Issue.record("\(error)\n\(try String(contentsOfFile: log, encoding: .utf8))")
        }
    }

    @Test(
        .enabled(
            if: FileManager.default.isExecutableFile(atPath: "/usr/bin/systemd-analyze"),
            "there is no systemd-analyze"))
    func `systemd finds nothing wrong with the service`() throws {
        let directory = try TestDirectory()
        let path = "\(directory.path)/rqlited.service"
        let unit = try String(
            contentsOfFile: "\(ExamplePlugins.root.path)/packaging/systemd/rqlited.service",
            encoding: .utf8)
        // It looks for the program, too.
        try unit.replacing("/usr/bin/rqlited", with: "/bin/true")
            .write(toFile: path, atomically: true, encoding: .utf8)
        let words = try run("systemd-analyze", "verify", "--man=no", path)
        #expect(!words.contains("rqlited.service:"), "\(words)")
    }
}
