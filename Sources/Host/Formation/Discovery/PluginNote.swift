import PluginABI

/// What a plugin's file says about the plugin, read without loading it: the sum of its notes, one of
/// which is there for each mode.
///
///     offset  size  content of one note, after its name `rqdisco`
///          0     4  ABI major
///          4     4  ABI minor built against
///          8     4  ABI minor needed
///         12     4  role
///         16    36  mode, filled up with zero bytes
package struct PluginNote: Equatable, Sendable {
    /// Of the interface that the plugin was built for.
    package struct Version: Equatable, Sendable {
        /// Must be the host's.
        package let major: UInt32
        /// The newest that the plugin knows.
        package let minor: UInt32
        /// The oldest that the plugin can live with.
        package let minorNeeded: UInt32
    }

    /// Of the interface.
    package let version: Version
    /// What it offers.
    package let modes: [PluginMode]
    /// It must run in a process of its own: its note says so, or it is Go's.
    package let needsOwnProcess: Bool

    private static let size = 52
    /// `RQD_FLAG_*` that this host does not know and must not pass over.
    private static let forbiddenFlags: UInt32 = 0xFFFF & ~RQD_FLAG_OWN_PROCESS
    /// Go's linker writes its build ID so.
    private static let goNote = (name: "Go", type: UInt32(4))

    init(_ notes: [ELFNote]) throws(PluginRefusal) {
        let own = notes.filter { $0.name == RQD_NOTE_NAME && $0.type == RQD_NOTE_TYPE }
        guard let first = own.first else { throw .noNote }
        guard own.count <= Int(RQD_MAX_MODES) else {
            throw .malformedNote("it has \(own.count) modes; at most \(RQD_MAX_MODES) are allowed")
        }
        version = try Self.version(first)
        var modes: [PluginMode] = []
        for note in own {
            guard try Self.version(note) == version else {
                throw .malformedNote("its modes name different versions")
            }
            // What a later host may know is no reason to do without the others.
            guard let mode = try Self.mode(note) else { continue }
            guard !modes.contains(where: { $0.name == mode.name }) else {
                throw .malformedNote("it names the mode \(mode.name) twice")
            }
            modes.append(mode)
        }
        guard !modes.isEmpty else {
            throw .malformedNote("none of its modes has a role that this program knows")
        }
        self.modes = modes
        let flags = try Self.flags(notes)
        needsOwnProcess =
            flags & RQD_FLAG_OWN_PROCESS != 0
            || notes.contains { $0.name == Self.goNote.name && $0.type == Self.goNote.type }
    }

    private static func flags(_ notes: [ELFNote]) throws(PluginRefusal) -> UInt32 {
        var flags: UInt32 = 0
        for note in notes where note.name == RQD_NOTE_NAME && note.type == RQD_FLAGS_TYPE {
            guard note.descriptor.count >= 4 else {
                throw .malformedNote("its flags are too short")
            }
            flags |= note.word(at: 0)
        }
        guard flags & forbiddenFlags == 0 else {
            throw .malformedNote(
                "it has a flag that this program doesn't know: 0x"
                    + String(flags & forbiddenFlags, radix: 16) + "; a newer rqlited may")
        }
        return flags
    }

    /// Whether this host can run it. Said apart from reading, so that a list can show the modes of
    /// plugins that are too new.
    /// - Parameter hostMinor: for tests; a host is what its header says.
    func checkVersion(hostMinor: UInt32 = RQD_ABI_MINOR) throws(PluginRefusal) {
        guard version.major == RQD_ABI_MAJOR, version.minorNeeded <= hostMinor else {
            throw .wrongVersion(needs: "\(version.major).\(version.minorNeeded)")
        }
    }

    private static func version(_ note: ELFNote) throws(PluginRefusal) -> Version {
        // Other majors may have other notes; their beginning is the same for ever.
        guard note.descriptor.count >= 12 else { throw .malformedNote("it is too short") }
        return Version(
            major: note.word(at: 0), minor: note.word(at: 4), minorNeeded: note.word(at: 8))
    }

    /// Nil for a role that is not known here.
    private static func mode(_ note: ELFNote) throws(PluginRefusal) -> PluginMode? {
        guard note.word(at: 0) == RQD_ABI_MAJOR else {
            throw .wrongVersion(needs: "\(note.word(at: 0)).\(note.word(at: 8))")
        }
        guard note.descriptor.count == size else {
            throw .malformedNote("it has \(note.descriptor.count) bytes, not \(size)")
        }
        let padded = note.descriptor[16...]
        let name = String(decoding: padded.prefix { $0 != 0 }, as: UTF8.self)
        guard PluginMode.isValid(name: name),
            padded.dropFirst(name.utf8.count).allSatisfy({ $0 == 0 })
        else { throw .malformedNote("a mode's name is not of the form [a-z0-9-]{1,32}") }
        return PluginRole(rawValue: note.word(at: 12)).map { PluginMode(name: name, role: $0) }
    }
}
