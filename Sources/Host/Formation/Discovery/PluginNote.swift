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

    private static let size = 52

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
            let mode = try Self.mode(note)
            guard !modes.contains(where: { $0.name == mode.name }) else {
                throw .malformedNote("it names the mode \(mode.name) twice")
            }
            modes.append(mode)
        }
        self.modes = modes
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

    private static func mode(_ note: ELFNote) throws(PluginRefusal) -> PluginMode {
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
        guard let role = PluginRole(rawValue: note.word(at: 12)) else {
            throw .malformedNote("mode \(name) has the unknown role \(note.word(at: 12))")
        }
        return PluginMode(name: name, role: role)
    }
}
