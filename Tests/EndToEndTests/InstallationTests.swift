import Foundation
import Testing

/// What `scripts/install` lays down below a prefix.
@Suite(.enabled(if: Installation.hindrance == nil, "\(Installation.hindrance ?? "")"))
struct InstallationTests {
    private let prefix = Installation.prefix ?? ""

    @Test(arguments: [
        "bin/rqlited", "lib/rqlite/plugins/librqlite-disco-dns.so",
        "lib/rqlite/plugins/librqlite-disco-dns-srv.so", "lib/rqlite/swift/libswiftCore.so",
        "include/rqlite_disco.h", "lib/pkgconfig/rqlite-disco.pc", "share/man/man8/rqlited.8",
        "share/bash-completion/completions/rqlited", "share/zsh/site-functions/_rqlited",
        "share/doc/rqlited/LICENSE",
    ])
    func `It has what it should`(_ path: String) {
        #expect(FileManager.default.isReadableFile(atPath: "\(prefix)/\(path)"))
    }

    @Test func `Every program that the package declares is installed`() throws {
        let manifest = try String(
            contentsOf: ExamplePlugins.root.appending(path: "Package.swift"), encoding: .utf8)
        let declared = manifest.matches(of: /\.executable\(name: "([a-z-]+)"/)
            .map { String($0.output.1) }
        #expect(declared.contains("rqlited"))
        let installed = try FileManager.default.contentsOfDirectory(atPath: "\(prefix)/bin")
        #expect(declared.sorted() == installed.sorted())
    }

    @Test func `Only its owner can write what a daemon loads`() throws {
        for path in try FileManager.default.subpathsOfDirectory(atPath: prefix) {
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(prefix)/\(path)")
            let mode = try #require(attributes[.posixPermissions] as? Int)
            #expect(mode & 0o022 == 0, "\(path)")
        }
    }

    @Test func `It tells a plugin's build where the header is, wherever it lies`() throws {
        func ask(_ question: String) throws -> String {
            try run(
                "env", "PKG_CONFIG_PATH=\(prefix)/lib/pkgconfig", "pkg-config", question,
                "rqlite-disco"
            ).trimmingCharacters(in: .whitespacesAndNewlines)
        }
        let include = try ask("--variable=includedir")
        #expect(try ask("--cflags") == "-I\(include)")
        #expect(FileManager.default.isReadableFile(atPath: "\(include)/rqlite_disco.h"))
        let plugins = try ask("--variable=plugindir")
        #expect(FileManager.default.isReadableFile(atPath: "\(plugins)/librqlite-disco-dns.so"))
        #expect(try ask("--modversion") == "1.1")
    }

    @Test func `The daemon finds the plugins beside it`() async throws {
        let directory = try TestDirectory()
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: ["-disco-mode", "none-such"], executable: "\(prefix)/bin/rqlited")
        try node.start()
        #expect(try await node.waitForExit() != 0)
        #expect(node.log.contains("no plugin offers -disco-mode none-such; modes found: "))
        for mode in ["dns", "dns-srv"] { #expect(node.log.contains(mode), "\(node.log)") }
    }
}
