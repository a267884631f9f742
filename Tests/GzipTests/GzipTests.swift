import Glibc
import Testing

@testable import Gzip

/// Packing and unpacking of bytes that come by and by.
@Suite struct GzipTests {
    private static func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 7) }
    }

    private func packed(_ bytes: [UInt8], by size: Int) throws -> [UInt8] {
        let writer = GzipWriter()
        var packed: [UInt8] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            packed += try writer.add(Array(rest.prefix(size)))
            rest = rest.dropFirst(size)
        }
        return packed + (try writer.add([], isLast: true))
    }

    private func unpacked(_ bytes: [UInt8], by size: Int, limit: Int = 1 << 30) throws -> [UInt8] {
        var reader = GzipReader(limit: limit)
        var unpacked: [UInt8] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            try reader.add(Array(rest.prefix(size))) { unpacked += $0 }
            rest = rest.dropFirst(size)
        }
        try reader.end()
        return unpacked
    }

    @Test(arguments: [0, 1, 65_535, 65_536, 65_537, 1_000_000], [1_000, 70_000, 2_000_000])
    func `What was packed comes out equal, wherever it is cut`(count: Int, size: Int) throws {
        let bytes = Self.bytes(count)
        let packed = try packed(bytes, by: size)
        #expect(GzipReader.recognises(packed))
        #expect(try unpacked(packed, by: size) == bytes)
        #expect(try unpacked(packed, by: 7) == bytes)
    }

    @Test func `Streams behind each other are one`() throws {
        let one = try packed(Self.bytes(100_000), by: 1000)
        #expect(
            try unpacked(one + one, by: 333) == Self.bytes(100_000) + Self.bytes(100_000))
    }

    @Test func `A stream that breaks off is not taken for a whole`() throws {
        let packed = try packed(Self.bytes(10_000), by: 1000)
        for count in [0, 1, 9, packed.count / 2, packed.count - 1] {
            #expect(throws: GzipError.truncated) {
                try unpacked(Array(packed.prefix(count)), by: 100)
            }
        }
    }

    @Test func `Damage is found`() throws {
        let packed = try packed(Self.bytes(10_000), by: 1000)
        for place in [0, 2, 15, packed.count / 2, packed.count - 6, packed.count - 1] {
            var damaged = packed
            damaged[place] ^= 0x5a
            #expect(throws: GzipError.self) { try unpacked(damaged, by: 100) }
        }
        #expect(throws: GzipError.damaged) {
            try unpacked(packed + [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], by: 100)
        }
    }

    @Test func `Few bytes that stand for many end at the limit`() throws {
        let zeros = try packed([UInt8](repeating: 0, count: 10_000_000), by: 1 << 20)
        #expect(zeros.count < 100_000)
        #expect(throws: GzipError.tooLarge(limit: 9_999_999)) {
            try unpacked(zeros, by: 1 << 20, limit: 9_999_999)
        }
        #expect(try unpacked(zeros, by: 1 << 20, limit: 10_000_000).count == 10_000_000)
    }

    /// Bytes that can't be packed.
    private static func noise(_ count: Int) -> [UInt8] {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        let words = (0..<count / 8).map { _ -> UInt64 in
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
        return words.withUnsafeBytes { Array($0) }
    }

    /// What unpacking takes of this thread's own time, in seconds: the least of three tries.
    private func cost(of packed: [UInt8]) throws -> Double {
        func spent() -> Double {
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        }
        let costs = try (0..<3).map { _ -> Double in
            let start = spent()
            var reader = GzipReader(limit: 1 << 30)
            var count = 0
            try reader.add(packed) { count += $0.count }
            #expect(count > 0)
            return spent() - start
        }
        return costs.min() ?? 0
    }

    @Test func `What unpacking takes grows with the bytes, also where all come at once`() throws {
        let small = try cost(of: packed(Self.noise(2 << 20), by: 1 << 20))
        let large = try cost(of: packed(Self.noise(16 << 20), by: 1 << 20))
        // A square takes 64 times as long.
        #expect(large < 24 * small + 0.02, "2 MiB: \(small) s, 16 MiB: \(large) s")
    }
}
