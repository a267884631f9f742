import PluginABI

/// The ELF note, read from the file.
enum NoteChecks {
    static let all: [Check] = [
        Check("note.present", "There is a note for each mode.", rule: Rule.note, isPresent),
        Check(
            "note.layout", "Each has 52 bytes, a mode filled up with zeros, and is aligned to 4.",
            rule: Rule.note, hasLayout),
        Check(
            "note.version", "It names an ABI version that this host has.", rule: Rule.note,
            hasVersion),
        Check(
            "note.modes", "Modes are named [a-z0-9-]{1,32}, each once, with a known role.",
            rule: Rule.note, namesModes),
        Check(
            "note.one-version", "All notes of the file name the same versions.",
            rule: Rule.note, hasOneVersion),
    ]

    @Sendable private static func isPresent(_ bench: Bench) throws(Finding) {
        let count = try bench.notes().count
        guard (1...Int(RQD_MAX_MODES)).contains(count) else {
            throw .failed(
                expected:
                    "1 to \(RQD_MAX_MODES) notes named rqdisco, of type 1, in a PT_NOTE segment",
                seen: "\(count)")
        }
    }

    private static func present(_ bench: Bench) throws(Finding) -> [ELFImage.Note] {
        let notes = try bench.notes()
        guard !notes.isEmpty else { throw .skipped("there is no note") }
        return notes
    }

    @Sendable private static func hasLayout(_ bench: Bench) throws(Finding) {
        for note in try present(bench) {
            guard note.descriptor.count == 52 else {
                throw .failed(
                    expected: "52 bytes after the name", seen: "\(note.descriptor.count)")
            }
            let rest = note.descriptor[16...].drop { $0 != 0 }
            guard !rest.isEmpty, rest.allSatisfy({ $0 == 0 }) else {
                throw .failed(
                    expected: "a mode that ends with zero bytes, at least one",
                    seen: "\(note.descriptor[16...].map { String($0, radix: 16) })")
            }
            guard note.alignment <= 4 else {
                throw .failed(
                    expected: "a note segment aligned to 4", seen: "aligned to \(note.alignment)")
            }
        }
    }

    @Sendable private static func hasVersion(_ bench: Bench) throws(Finding) {
        for note in try present(bench) {
            let (major, minor, needed) = (
                note.word(at: 0) ?? 0, note.word(at: 4) ?? 0, note.word(at: 8) ?? 0
            )
            guard major == RQD_ABI_MAJOR, needed <= RQD_ABI_MINOR, needed <= minor else {
                throw .failed(
                    expected: "major \(RQD_ABI_MAJOR), and a minor version needed of up to "
                        + "\(RQD_ABI_MINOR) and up to the one built against",
                    seen: "built against \(major).\(minor), needs \(major).\(needed)")
            }
        }
    }

    @Sendable private static func namesModes(_ bench: Bench) throws(Finding) {
        var seen: [String] = []
        for note in try present(bench) where note.descriptor.count == 52 {
            let bytes = note.descriptor[16...].prefix { $0 != 0 }
            let name = String(decoding: bytes, as: UTF8.self)
            let allowed = Set("abcdefghijklmnopqrstuvwxyz0123456789-".utf8)
            guard (1...Int(RQD_MAX_MODE)).contains(bytes.count), bytes.allSatisfy(allowed.contains)
            else {
                throw .failed(expected: "a mode named [a-z0-9-]{1,32}", seen: "\"\(name)\"")
            }
            guard !seen.contains(name) else {
                throw .failed(expected: "each mode once", seen: "\"\(name)\" twice")
            }
            let role = note.word(at: 12) ?? 0
            guard role == RQD_ROLE_RESOLVER || role == RQD_ROLE_REGISTRY else {
                throw .failed(
                    expected: "role 1 (resolver) or 2 (registry)", seen: "role \(role) of \(name)")
            }
            seen.append(name)
        }
    }

    @Sendable private static func hasOneVersion(_ bench: Bench) throws(Finding) {
        let heads = try present(bench).map { $0.descriptor.prefix(12) }
        guard heads.allSatisfy({ $0 == heads[0] }) else {
            throw .failed(
                expected: "one set of versions", seen: "notes of one file that differ in it")
        }
    }
}
