import SQLite
import Testing

/// Nodes whose SQLite may give other results can tell.
@Suite struct EngineFingerprintTests {
    @Test func `Builds that differ are told apart, and how they differ is said`() throws {
        let own = Engine.fingerprint
        let text = own.description
        #expect(EngineFingerprint(text) == own)
        #expect(own.source.hasPrefix(Engine.version) && own.probes.count >= 6)
        #expect(own.options.contains { $0.hasPrefix("THREADSAFE=") })
        #expect(text.utf8.count < 4096)
        #expect(EngineFingerprint.differences(between: text, and: text).isEmpty)

        var probes = own.probes
        probes[0] = .init(name: probes[0].name, hash: "0123456789abcdef")
        let other = EngineFingerprint(
            source: "3.53.0 abc", options: Array(own.options.dropFirst()) + ["ENABLE_ICU"],
            probes: probes)
        #expect(
            EngineFingerprint.differences(between: text, and: other.description) == [
                "SQLite 3.53.0 abc there, \(own.source) here", "options only there: ENABLE_ICU",
                "options only here: \(own.options[0])", "other results for numbers to text",
            ])
        let rules = try #require(own.probes.firstIndex { $0.name.contains("this program's rules") })
        var later = own.probes
        later[rules] = .init(name: later[rules].name, hash: "another")
        let upgraded = EngineFingerprint(source: own.source, options: own.options, probes: later)
        #expect(
            EngineFingerprint.differences(between: text, and: upgraded.description)
                == ["other results for statements by this program's rules"])
        let old =
            "2022-12-28 14:03:47 df5c253c0b3dd24916e4ec7cf77d3db5294cc9fd45ae7b9c5e82ad8197f38a24"
        #expect(EngineFingerprint.differences(between: text, and: old).count == 1)
    }

    @Test func `Extensions are told beside the library, and nobody is told of none`() {
        let bare = Engine.fingerprint
        var own = bare
        own.extensions = [.init(name: "a.so", hash: "1"), .init(name: "b.so", hash: "2")]
        var other = bare
        other.extensions = [.init(name: "a.so", hash: "3")]
        #expect(EngineFingerprint(own.description) == own)
        #expect(own.description.hasPrefix(bare.description + "; "))
        #expect(!bare.description.contains("extensions"))
        #expect(
            EngineFingerprint.differences(between: own.description, and: other.description)
                == ["SQLite extensions there: a.so:3; here: a.so:1,b.so:2"])
        #expect(
            EngineFingerprint.otherExtensions(between: bare.description, and: own.description)?
                .own == "none")
        #expect(
            EngineFingerprint.otherExtensions(between: own.description, and: own.description)
                == nil)
    }

    /// Whoever answers in a node's place may say anything, and so may who writes into an archive.
    @Test func `What nobody would say of a library is read, or is none`() {
        let texts = [
            "", ";", "; ;", "a;", "a; options=", "a; options=,", "a; options=; extensions=",
            "a; options=; extensions=:", "a; options=; extensions=,:,",
            "a; options=; =; ==; =x; x=",
            "a; options=; extensions=::,a,b:,:c", "extensions=:", "a; extensions=:; options=",
        ]
        let own = Engine.fingerprint.description
        for text in texts {
            _ = EngineFingerprint.differences(between: own, and: text)
            _ = EngineFingerprint.otherExtensions(between: own, and: text)
        }
        let extensions = EngineFingerprint(texts[10])?.extensions ?? []
        #expect(extensions.map(\.name) == ["", "a", "b", ""])
        #expect(extensions.map(\.hash) == [":", "", "", "c"])
    }

    @Test func `Every probe has results, and not only errors`() {
        let hashes = Engine.fingerprint.probes.map(\.hash)
        #expect(Set(hashes).count == hashes.count)
        // The hash of one failed query alone.
        #expect(!hashes.contains("af64724c8602eb6e"))
        #expect(
            Engine.fingerprint.probes == EngineFingerprint(Engine.fingerprint.description)?.probes)
    }
}
