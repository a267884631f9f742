import Foundation
import JSON
import Testing

@testable import Harness

/// The program as authors call it: its exit codes, and what it writes.
@Suite struct ProgramTests {
    private struct Run {
        let output: String
        let code: Int32
    }

    private func run(_ arguments: [String]) async throws -> Run {
        try await PluginShop.work { try Self.runHere(arguments) }
    }

    private static func runHere(_ arguments: [String]) throws -> Run {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: try PluginShop.harness())
        process.arguments = arguments
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Run(output: String(decoding: data, as: UTF8.self), code: process.terminationStatus)
    }

    @Test(
        arguments: [
            ([], "no plugin named"),
            (["/nowhere.so"], "/nowhere.so: No such file or directory"),
            (["--nonsense"], "there is no option --nonsense"),
            (["a.so", "b.so"], "one plugin at a time"),
            (["a.so", "--only", "nothing"], "there is no check nothing"),
            (["a.so", "--seed", "x"], "--seed must be a number"),
            (["a.so", "--jobs"], "--jobs needs a value"),
        ] as [([String], String)])
    func `A wrong command line ends with 2`(_ arguments: [String], _ words: String) async throws {
        let run = try await run(arguments)
        #expect(run.code == 2)
        #expect(run.output.contains(words), "\(run.output)")
    }

    @Test func `A plugin that passes ends with 0, and one that does not with 1`() async throws {
        let shop = try PluginShop()
        let plugin = try await shop.compile(BadPlugin("prints"))
        let good = try await run([plugin, "--only", "note", "--only", "texts.id"])
        #expect(good.code == 0)
        #expect(good.output.hasSuffix("6 passed\n"), "\(good.output)")
        #expect(!good.output.contains("\u{1B}"))
        let bad = try await run([plugin, "--only", "manners.silent"])
        #expect(bad.code == 1)
        for words in ["failed  manners.silent", "expected:", "seen:", "called", "Manners"] {
            #expect(bad.output.contains(words), "\(bad.output)")
        }
    }

    @Test func `Machines get JSON and JUnit's XML`() async throws {
        let shop = try PluginShop()
        let plugin = try await shop.compile(BadPlugin("crash_in_call"))
        let only = ["--only", "calls.work", "--only", "texts.id", "--only", "registry.list"]
        let run = try await run(
            [plugin, "--junit", "\(shop.path)/results.xml", "--json", "-"] + only)
        #expect(run.code == 1)
        let json = try JSONValue(parsing: run.output)
        #expect(json["passed"]?.bool == false)
        let checks = try #require(json["checks"]?.array)
        #expect(checks.map { $0["outcome"]?.string } == ["passed", "crashed", "skipped"])
        #expect(checks[1]["seen"]?.string?.hasPrefix("SIGABRT") == true)
        let xml = try String(contentsOfFile: "\(shop.path)/results.xml", encoding: .utf8)
        #expect(xml.contains("tests=\"3\" failures=\"0\" errors=\"1\" skipped=\"1\""))
        #expect(xml.contains("<testcase classname=\"calls\" name=\"calls.work\""))
    }

    @Test func `A wrong manifest is told, with the names there are`() async throws {
        let shop = try PluginShop()
        let plugin = try await shop.compile(BadPlugin("good"))
        for (text, words) in [
            ("{\"acept\":[]}", "\"acept\" is unknown; known are accept, backend"),
            ("{\"backend\":\"ldap\"}", "no fake server \"ldap\"; known are consul-kv, dns"),
            (
                "{\"files\":{\"a/b\":\"\"}}",
                "\"files\" must be an object of texts, by names without"
            ),
            ("{\"reject\":[{}]}", "must have \"config\" and \"mentions\""), ("[", "manifest.json"),
            ("{\"config\":\"\(String(repeating: "x", count: 1 << 20))y\"}", "has over 1 MiB"),
        ] {
            let path = "\(shop.path)/manifest.json"
            try text.write(toFile: path, atomically: false, encoding: .utf8)
            let run = try await run([plugin, "--manifest", path])
            #expect(run.code == 2)
            #expect(run.output.contains(words), "\(run.output)")
        }
    }

    @Test func `A file that can't be written says nothing against the plugin`() async throws {
        let shop = try PluginShop()
        let plugin = try await shop.compile(BadPlugin("good"))
        let manifest = "\(shop.path)/manifest.json"
        let name = String(repeating: "n", count: 300)
        try #"{"config":"{127.0.0.1:1}","files":{"\#(name)":""}}"#.write(
            toFile: manifest, atomically: false, encoding: .utf8)
        let arguments = [plugin, "--manifest", manifest, "--only", "manners.silent"]
        let lenient = try await run(arguments)
        #expect(lenient.code == 0, "\(lenient.output)")
        #expect(lenient.output.contains("\(name) can't be written: File name too long"))
        let strict = try await run(arguments + ["--strict"])
        #expect(strict.code == 1, "\(strict.output)")
        #expect(!strict.output.contains("crashed"), "\(strict.output)")
    }

    @Test func `A hang is named by its call, and ends the run early`() async throws {
        let shop = try PluginShop()
        let plugin = try await shop.compile(BadPlugin("hangs"))
        let file = "\(shop.path)/report.json"
        let run = try await run([plugin, "--only", "calls", "--only", "deadlines", "--json", file])
        #expect(run.code == 1)
        #expect(run.output.contains("--keep-going makes the others too"))
        #expect(run.output.contains("resolve"))
        let report = try JSONValue(
            parsing: Array(Data(contentsOf: URL(filePath: file))))
        let hangs = report["checks"]?.array?.filter { $0["hang"]?.bool == true } ?? []
        #expect(hangs.count >= 3)
        // The faults once more at the end, with number and rule.
        let last = run.output.split(separator: "\n").suffix(4).joined(separator: "\n")
        #expect(last.contains("(rqlite_disco.h, "), "\(last)")
    }

    @Test func `What can't be looked at is a failure when one is strict`() async throws {
        let shop = try PluginShop()
        let plugin = try await shop.compile(BadPlugin("good"))
        let manifest = "\(shop.path)/none.json"
        try "{\"config\": \"{127.0.0.1:1}\"}".write(
            toFile: manifest, atomically: false, encoding: .utf8)
        let arguments = [plugin, "--manifest", manifest, "--only", "faults"]
        #expect(try await run(arguments).code == 0)
        let strict = try await run(arguments + ["--strict"])
        #expect(strict.code == 1)
        #expect(strict.output.contains("the check is made, for --strict"))
        #expect(strict.output.contains("the manifest names no fake server"))
    }

    @Test func `A real server takes the place of the fake one`() async throws {
        let server = try OtherServer()
        let shop = try PluginShop()
        let plugin = try await shop.compile(BadPlugin("good", .registry))
        let run = try await run([plugin, "--backend", server.url])
        #expect(run.code == 0, "\(run.output)")
        // What a server can't be told to do, a proxy before it does.
        #expect(!run.output.contains("skipped faults.reset") && run.output.contains("faults.reset"))
        // The checks tidy up.
        #expect(server.isEmpty)
    }

    @Test(
        arguments: [
            ("errors_as_absent", "faults.down"), ("errors_as_absent", "faults.truncated"),
            ("errors_as_empty", "faults.reset"), ("ignores_deadline", "deadlines.silence"),
            ("ignores_cancel", "deadlines.cancel"), ("answers_given_up", "deadlines.given-up"),
        ])
    func `A bad plugin is caught before a real server, by a proxy that misbehaves`(
        _ name: String, _ check: String
    ) async throws {
        let server = try OtherServer()
        let shop = try PluginShop()
        let plugin = try await shop.compile(BadPlugin(name, .registry))
        let run = try await run([plugin, "--backend", server.url, "--only", check])
        #expect(run.code == 1, "\(run.output)")
        #expect(run.output.contains("failed  \(check)"), "\(run.output)")
    }

    @Test func `A fault is told with its rule and the number that it has in the report`()
        async throws
    {
        let shop = try PluginShop()
        let plugin = try await shop.compile(BadPlugin("prints"))
        let (json, xml) = ("\(shop.path)/report.json", "\(shop.path)/report.xml")
        let run = try await run([
            plugin, "--only", "texts.id", "--only", "manners.silent", "--json", json, "--junit",
            xml,
        ])
        let report = try JSONValue(parsing: Array(Data(contentsOf: URL(filePath: json))))
        let checks = try #require(report["checks"]?.array)
        let number = try #require(checks.last?["number"]?.integer)
        #expect(number == 2)
        let last = run.output.split(separator: "\n").suffix(2).joined(separator: "\n")
        for words in ["\(number)", "manners.silent", "called", "Manners"] {
            #expect(last.contains(words), "\(last)")
        }
        let text = try String(contentsOfFile: xml, encoding: .utf8)
        #expect(text.contains("line=\"\(number)\""), "\(text)")
        #expect(text.contains("Manners"), "\(text)")
    }
}
