import Foundation
import PeerProtocol
import Raft
import Service
import Testing
import Wire

/// What nodes of an earlier version sent: while a cluster is upgraded node by node, all of it must be read.
@Suite struct EarlierPeerTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Fixtures")

    /// What `scripts/keep-release` kept of each release: lines with a kind of message and a number, and its bytes
    /// in hexadecimal digits.
    private static var recorded: [String] {
        let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path)
        return (names ?? []).filter { $0.hasPrefix("messages-") }.sorted()
    }

    /// - Returns: whether it is known, and nothing is left.
    private func isRead(_ kind: Substring, _ bytes: [UInt8]) throws(WireError) -> Bool {
        var reader = ByteReader(bytes)
        switch kind {
        case "raft": _ = try Message(from: &reader)
        case "request": guard try PeerRequest(from: &reader) != nil else { return false }
        case "answer": _ = try PeerAnswer(from: &reader)
        case "clientRequest": _ = try ClientRequest(from: &reader)
        case "reply": _ = try Reply(from: &reader)
        case "introduction": _ = try Introduction(from: &reader)
        case "offer": _ = try SnapshotOffer(from: &reader)
        case "logCommand":
            _ = try LogCommand(decoding: bytes)
            return true
        default: return false
        }
        return reader.isAtEnd
    }

    /// 48 are those of version 1.3.
    @Test(arguments: recorded)
    func `Everything that nodes of an earlier version sent is read`(_ name: String) throws {
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
                let isRead = try isRead(words[0].prefix { $0 != "-" }, bytes)
                #expect(isRead, "\(words[0])")
            } catch {
                Issue.record("\(words[0]): \(error)")
            }
        }
    }

    @Test func `What is kept of earlier versions is found`() {
        #expect(Self.recorded.contains("messages-7b08b298.txt"))
    }
}
