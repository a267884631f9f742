import Foundation
import Testing

/// `docs/plugins.md` as a stranger follows it: every block is run as it stands, in a folder that was
/// empty, with an installation of the test's own in the place of `/opt/rqlite`, and free ports.
@Suite(.enabled(if: Installation.hindrance == nil, "\(Installation.hindrance ?? "")"))
struct PluginGuideTests {
    @Test func `A stranger gets from nothing to a cluster with a plugin of their own`() throws {
        let guide = try PluginGuide()
        let directory = try TestDirectory()
        let prefix = "\(directory.path)/rqlite"
        try run("cp", "-a", Installation.prefix ?? "", prefix)
        let ports = try freePorts(2, host: "0.0.0.0")
        let script = guide.script
            .replacing("/opt/rqlite", with: prefix)
            .replacing(":4001", with: ":\(ports[0])")
            .replacing(":4002", with: ":\(ports[1])")
        // Many a user's own group, or whoever shares the machine, may write what they make.
        try run("mkdir", "-m", "777", "\(directory.path)/empty")
        try script.write(
            toFile: "\(directory.path)/script", atomically: true, encoding: .utf8)
        // Whatever happens, no node is left behind.
        let output = try run(
            "timeout", "--kill-after=5", "120", "bash", "-c",
            "cd \"$1/empty\"; trap 'kill $(jobs -p) 2>/dev/null || :' EXIT; umask 0; . ../script",
            "bash", directory.path)
        for line in guide.outputLines { #expect(output.contains(line), "\(output)") }
        #expect(guide.outputLines.count >= 4)
        // It stays where the daemon looks by itself.
        let plugins = "\(prefix)/lib/rqlite/plugins"
        #expect(
            FileManager.default.isReadableFile(atPath: "\(plugins)/librqlite-disco-list.so"))
    }

    @Test func `The header allows what the page says of versions`() throws {
        let page = try String(
            contentsOf: ExamplePlugins.root.appending(path: "docs/plugins.md"), encoding: .utf8)
        #expect(page.contains("now 1.1, and its layout is frozen"))
        let folder = "\(Installation.prefix ?? "")/include"
        let header = try String(
            contentsOfFile: "\(folder)/rqlite_disco.h", encoding: .utf8)
        #expect(header.contains("#define RQD_ABI_MAJOR 1u\n#define RQD_ABI_MINOR 1u\n"))
    }
}
