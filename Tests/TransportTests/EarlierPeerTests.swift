import Foundation
import PeerProtocol
import Raft
import Service
import Testing
import Wire

/// What nodes of an earlier version sent: while a cluster is upgraded node by node, all of it must be read, and what is
/// sent to them must be what they read.
@Suite struct EarlierPeerTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Fixtures")

    /// What `scripts/keep-release` kept of each release: lines with a kind of message and a number, and its bytes
    /// in hexadecimal digits.
    private static var recorded: [String] {
        let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path)
        return (names ?? []).filter { $0.hasPrefix("messages-") }.sorted()
    }

    /// What this version writes of what it has read, for an earlier one to read; nil: it is not known, or something
    /// is left.
    private func rewritten(_ kind: Substring, _ bytes: [UInt8]) throws(WireError) -> [UInt8]? {
        var reader = ByteReader(bytes)
        var writer = ByteWriter()
        switch kind {
        case "raft": try Message(from: &reader).encode(into: &writer)
        case "request":
            guard let request = try PeerRequest(from: &reader) else { return nil }
            request.encode(into: &writer)
        case "answer": try PeerAnswer(from: &reader).encode(into: &writer)
        case "clientRequest":
            let request = try ClientRequest(from: &reader)
            request.encode(into: &writer, id: request.id)
        case "reply": try Reply(from: &reader).encode(into: &writer)
        case "introduction": try Introduction(from: &reader).encode(into: &writer)
        case "offer": try SnapshotOffer(from: &reader).encode(into: &writer)
        case "logCommand": return try LogCommand(decoding: bytes).encoded()
        default: return nil
        }
        return reader.isAtEnd ? writer.bytes : nil
    }

    /// 48 are those of version 1.3.
    @Test(arguments: recorded)
    func `Everything that nodes of an earlier version sent is read, and written for them to read`(
        _ name: String
    ) throws {
        let text = try String(
            contentsOf: Self.folder.appending(path: name), encoding: .utf8)
        let lines = text.split(separator: "\n")
        #expect(lines.count >= 48)
        for line in lines {
            let words = line.split(separator: " ")
            let digits = Array(words[1].utf8)
            let bytes = stride(from: 0, to: digits.count, by: 2).compactMap {
                UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
            }
            do throws(WireError) {
                let again = try rewritten(words[0].prefix { $0 != "-" }, bytes)
                // Minor versions add at the end.
                #expect(again?.starts(with: bytes) == true, "\(words[0])")
            } catch {
                Issue.record("\(words[0]): \(error)")
            }
        }
    }

    @Test func `What is kept of earlier versions is found`() {
        #expect(Self.recorded.contains("messages-7b08b298.txt"))
    }
}
