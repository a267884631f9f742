import Chance
import Foundation
import Registry
import Testing
import Wire

@testable import Cluster
@testable import WriteAheadLog

/// The fuzzers' targets without a fuzzer: their seeds, what their encoders write now, inputs that
/// once did harm, and what becomes of all these by chance.
@Suite struct CorpusTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "Seeds")

    private func corpus(_ target: FuzzTarget) throws -> [FuzzSeed] {
        let folder = Self.folder.appending(path: target.name)
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        return try files.map {
            FuzzSeed($0, Array(try Data(contentsOf: folder.appending(path: $0))))
        }
    }

    private func play(_ input: [UInt8], _ target: FuzzTarget, _ name: String) {
        do throws(Complaint) {
            try target.play(Array(input.prefix(target.largestInput)))
        } catch {
            Issue.record("\(target.name), \(name): \(error); the input is \(input)")
        }
    }

    @Test(arguments: FuzzTarget.all.map { $0.name })
    func `Every seed and every input that once did harm is taken or refused in words`(
        _ name: String
    ) throws {
        let target = try #require(FuzzTarget.named(name))
        let files = try corpus(target)
        #expect(!files.isEmpty)
        for seed in files + target.seeds() { play(seed.bytes, target, seed.name) }
    }

    /// As messages are by `EarlierPeerTests`: the files stay as earlier versions wrote them.
    @Test func `What was kept of the agreement, of registries and of the log's records is read`()
        throws
    {
        func kept(_ target: FuzzTarget, _ name: String) throws -> [[UInt8]] {
            let found = try corpus(target).filter { $0.name.hasPrefix(name) }
            #expect(!found.isEmpty, "\(target.name): \(name)")
            return found.map { Array($0.bytes.dropFirst()) }
        }
        for bytes in try kept(.formation, "message-") { _ = try FormationMessage(decoding: bytes) }
        for bytes in try kept(.formation, "fresh") + kept(.formation, "state") {
            _ = try AcceptorState(decoding: bytes)
        }
        for bytes in try kept(.formation, "bootstrap") { _ = try BootstrapValue(decoding: bytes) }
        for bytes in try kept(.registry, "node") { _ = try NodeRecord(parsing: bytes) }
        for bytes in try kept(.registry, "leader") {
            guard case .entry = LeaderContent(parsing: bytes) else {
                Issue.record("the entry is none: \(bytes)")
                continue
            }
        }
        for bytes in try kept(.registry, "state") { _ = try RegistryState(decoding: bytes) }
        for bytes in try kept(.log, "record-") {
            var reader = ByteReader(bytes + [0])
            #expect(try LogRecord.all(in: &reader).count == 1)
        }
    }

    @Test func `Each form of what nodes tell each other has a seed`() throws {
        #expect(try PeerMessageKind.missingForms() == [])
    }

    @Test(arguments: FuzzTarget.all.map { $0.name })
    func `What becomes of seeds by chance is taken or refused in words`(_ name: String) throws {
        let target = try #require(FuzzTarget.named(name))
        let seeds = try corpus(target) + target.seeds()
        var chance = SplitMix64(seed: UInt64(name.utf8.count))
        for number in 0..<1000 {
            var input = seeds[number % seeds.count].bytes
            mutate(&input, &chance)
            play(input, target, "\(seeds[number % seeds.count].name), mutation \(number)")
        }
    }

    /// Bits, bytes, lengths, and pieces that are doubled or missing.
    private func mutate(_ input: inout [UInt8], _ chance: inout SplitMix64) {
        for _ in 0...chance.next() % 4 where !input.isEmpty {
            let place = Int(chance.next() % UInt64(input.count))
            switch chance.next() % 6 {
            case 0: input[place] ^= 1 << UInt8(chance.next() % 8)
            case 1: input[place] = UInt8(truncatingIfNeeded: chance.next())
            case 2: input[place] = [0, 1, 0x7F, 0x80, 0xFF][Int(chance.next() % 5)]
            case 3: input.removeLast(input.count - place)
            case 4: input.insert(contentsOf: input[place...].prefix(16), at: place)
            default: input.removeSubrange(place..<min(input.count, place + 4))
            }
        }
    }
}
