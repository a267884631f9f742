import Foundation
import PluginABI
import Testing

/// The header is all that a plugin's author has: it must compile without a word of complaint, and
/// the plugin printed in it must too.
@Suite struct HeaderTests {
    private let include: String
    private let scratch: String

    init() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        include = root.appending(path: "Sources/PluginABI/include").path
        let directory = FileManager.default.temporaryDirectory
            .appending(path: "rqd-header-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        scratch = directory.path
    }

    /// What the compiler said, and whether it succeeded.
    private func compile(_ compiler: String, _ arguments: [String]) throws -> (String, Bool) {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments =
            [compiler, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I\(include)"] + arguments
        process.standardError = output
        try process.run()
        let text = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (text, process.terminationStatus == 0)
    }

    private func write(_ name: String, _ text: String) throws -> String {
        let path = "\(scratch)/\(name)"
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        return path
    }

    private static let twoModes = """
        #include "rqlite_disco.h"
        #include "rqlite_disco.h"
        RQD_NOTE(0, RQD_ROLE_RESOLVER, "a");
        RQD_NOTE(0, RQD_ROLE_REGISTRY, "abcdefghijklmnopqrstuvwxyz012345");
        extern const rqd_text text;
        const rqd_text text = RQD_TEXT("x");
        """

    @Test(arguments: ["cc", "clang"])
    func `It is clean C11`(_ compiler: String) throws {
        let source = try write("two.c", Self.twoModes)
        let (text, succeeded) = try compile(
            compiler, ["-std=c11", "-c", "-o", "\(scratch)/two.o", source])
        #expect(succeeded, "\(text)")
    }

    @Test(arguments: ["c++", "clang++"])
    func `It is clean C++17`(_ compiler: String) throws {
        let source = try write("two.cc", Self.twoModes)
        let (text, succeeded) = try compile(
            compiler, ["-std=c++17", "-c", "-o", "\(scratch)/two.o", source])
        #expect(succeeded, "\(text)")
    }

    @Test func `The plugin printed in it compiles and exports its entry alone`() throws {
        let header = try String(contentsOfFile: "\(include)/rqlite_disco.h", encoding: .utf8)
        let parts = header.components(separatedBy: "----8<----")
        try #require(parts.count == 3)
        let lines = parts[1].split(separator: "\n", omittingEmptySubsequences: false).dropFirst()
            .map { $0.hasPrefix(" * ") ? String($0.dropFirst(3)) : "" }
        let source = try write("one.c", lines.joined(separator: "\n"))
        let (text, succeeded) = try compile(
            "cc",
            [
                "-std=c11", "-shared", "-fPIC", "-fvisibility=hidden", "-o", "\(scratch)/one.so",
                source,
            ])
        #expect(succeeded, "\(text)")
    }

    @Test func `Swift sees the layout that C checks`() {
        #expect(MemoryLayout<rqd_plugin>.size == 152)
        #expect(MemoryLayout<rqd_address>.size == 56)
        #expect(MemoryLayout<rqd_sink>.offset(of: \rqd_sink.text) == 48)
        #expect(MemoryLayout<rqd_note>.size == 72)
    }
}
