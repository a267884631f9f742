import Glibc
import PluginABI

/// Finds plugins in a list of directories and tells which of them serves a mode, from their notes
/// alone: no code of a plugin runs here.
///
/// - Only files named `*rqlite-disco-*.so` are looked at.
/// - The first directory that offers a mode wins; what it hides is listed.
/// - A file that is refused is not passed over for another that offers its mode: that is an error.
/// - Two files in one directory that offer the same mode are an error, unless they are one inode.
/// - A mode with a slash is the path of a plugin, `PATH#MODE` if it has several.
package struct PluginCatalog: Sendable {
    /// In the order in which they are searched.
    package let directories: [String]
    private let trust: PluginTrust

    /// - Parameter directories: those that don't exist are passed over.
    package init(directories: [String]) {
        self.init(directories: directories, trust: .ofThisProcess)
    }

    init(directories: [String], trust: PluginTrust) {
        var unique: [String] = []
        for directory in directories where !directory.isEmpty && !unique.contains(directory) {
            unique.append(directory)
        }
        self.directories = unique
        self.trust = trust
    }

    /// The places to look, most important first. `executable` is the path of the program's file.
    package static func standardDirectories(
        flag: [String], environment: String?, executable: String
    ) -> [String] {
        let own = executable.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            .joined(separator: "/")
        return flag + (environment ?? "").split(separator: ":").map(String.init) + [
            own + "/../lib/rqlite/plugins", own, "/usr/local/lib/rqlite/plugins",
            "/usr/lib/rqlite/plugins",
        ]
    }

    /// Where the program's own plugins are: beside it, and where its package puts them.
    package static func stockDirectories(executable: String) -> [String] {
        let own = executable.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            .joined(separator: "/")
        return [own + "/../lib/rqlite/plugins", own]
    }

    /// Everything found, in order of precedence.
    package func scan() -> Listing {
        var listing = Listing()
        var seen: Set<PluginFile.Identity> = []
        for directory in directories {
            scan(directory, into: &listing, seen: &seen)
        }
        return listing
    }

    /// What serves `-disco-mode`. The role is in the result's note.
    package func find(mode spec: String) throws(PluginCatalogError) -> PluginChoice {
        if spec.utf8.contains(UInt8(ascii: "/")) { return try find(path: spec) }
        let listing = scan()
        let offers = listing.plugins.filter { plugin in plugin.mode(named: spec) != nil }
        guard let first = offers.first, let mode = first.mode(named: spec) else {
            throw .unknownMode(spec, listing: listing, directories: directories)
        }
        if let refused = listing.refused.first(where: { hides($0, spec, from: first) }) {
            throw .refused(path: refused.path, refused.why)
        }
        if let rival = offers.dropFirst().first(where: { $0.directory == first.directory }) {
            throw .ambiguous(mode: spec, first.path, rival.path)
        }
        return PluginChoice(file: first, mode: mode, shadowed: offers.dropFirst().map(\.path))
    }

    /// Whether a file that is refused would have served the mode, had it been taken. Another file of
    /// that mode is then not what the operator means.
    private func hides(_ refused: Refused, _ mode: String, from choice: PluginFile) -> Bool {
        let parent = refused.path.split(separator: "/", omittingEmptySubsequences: false)
            .dropLast().joined(separator: "/")
        guard
            let place = directories.firstIndex(where: { $0 == refused.path || $0 == parent }),
            let chosen = directories.firstIndex(of: choice.directory), place <= chosen
        else { return false }
        let name = "rqlite-disco-\(mode).so"
        if directories[place] == refused.path {
            return ["lib", ""].contains { access("\(refused.path)/\($0)\(name)", F_OK) == 0 }
        }
        if let note = PluginFile.note(ofUntrusted: refused.path) {
            return note.modes.contains { $0.name == mode }
        }
        return refused.path.hasSuffix(name)
    }

    /// Of a mode's name or a plugin's path, from the file's note alone.
    /// - Throws: `PluginCatalogError`, which lists the modes there are.
    package func role(ofMode spec: String) throws(PluginCatalogError) -> PluginRole {
        try find(mode: spec).mode.role
    }

    /// A path as it stands, if there is such a file; else what precedes the last `#`.
    private func find(path spec: String) throws(PluginCatalogError) -> PluginChoice {
        guard access(spec, F_OK) != 0, let mark = spec.lastIndex(of: "#"), mark != spec.startIndex
        else {
            let file = try file(spec)
            guard file.note.modes.count == 1 else {
                throw .severalModes(path: spec, file.note.modes.map(\.name))
            }
            return PluginChoice(file: file, mode: file.note.modes[0], shadowed: [])
        }
        return try find(
            path: String(spec[..<mark]), mode: String(spec[spec.index(after: mark)...]))
    }

    /// A mode of one file.
    func find(path: String, mode name: String) throws(PluginCatalogError) -> PluginChoice {
        let file = try file(path)
        guard let mode = file.mode(named: name) else {
            throw .modeNotInFile(path: path, mode: name, has: file.note.modes.map(\.name))
        }
        return PluginChoice(file: file, mode: mode, shadowed: [])
    }

    private func file(_ path: String) throws(PluginCatalogError) -> PluginFile {
        do {
            let file = try PluginFile(path: path, trust: trust)
            try trust.check(directory: file.directory)
            try file.note.checkVersion()
            return file
        } catch {
            throw .refused(path: path, error)
        }
    }

    private func scan(
        _ directory: String, into listing: inout Listing, seen: inout Set<PluginFile.Identity>
    ) {
        let names: [String]
        do {
            guard let found = try Self.pluginNames(in: directory, trust: trust) else { return }
            names = found
        } catch {
            listing.refused.append(Refused(path: directory, why: error))
            return
        }
        for name in names {
            let path = "\(directory)/\(name)"
            do {
                let file = try PluginFile(path: path, trust: trust)
                guard seen.insert(file.identity).inserted else { continue }
                try file.note.checkVersion()
                listing.plugins.append(file)
            } catch {
                listing.refused.append(Refused(path: path, why: error))
            }
        }
    }

    /// Sorted; nil when there is no such directory.
    private static func pluginNames(
        in directory: String, trust: PluginTrust
    ) throws(PluginRefusal) -> [String]? {
        guard let stream = opendir(directory) else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw .unreadable(String(cString: strerror(errno)))
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard isPluginName(name) else { continue }
            names.append(name)
            guard names.count <= DiscoveryLimits.filesInDirectory else {
                throw .unreadable("it holds over \(DiscoveryLimits.filesInDirectory) plugins")
            }
        }
        guard !names.isEmpty else { return [] }
        var status = stat()
        guard fstat(dirfd(stream), &status) == 0 else {
            throw .unreadable(String(cString: strerror(errno)))
        }
        try trust.check(status, path: directory)
        return names.sorted()
    }

    /// `*rqlite-disco-*.so`
    private static func isPluginName(_ name: String) -> Bool {
        let infix = Array("rqlite-disco-".utf8)
        guard name.hasSuffix(".so") else { return false }
        let stem = Array(name.utf8.dropLast(3))
        guard stem.count >= infix.count else { return false }
        return (0...(stem.count - infix.count)).contains { stem[$0...].starts(with: infix) }
    }
}

extension PluginCatalog {
    /// A file that looks like a plugin and is not taken.
    package struct Refused: Equatable, Sendable {
        /// Of the file.
        package let path: String
        /// What is wrong with it.
        package let why: PluginRefusal
    }

    /// What stands in the directories.
    package struct Listing: Sendable {
        /// In the order in which they are searched.
        package fileprivate(set) var plugins: [PluginFile] = []
        /// Files that are not taken, with the reason.
        package fileprivate(set) var refused: [Refused] = []

        /// Every mode once, sorted.
        package var modes: [String] { Set(plugins.flatMap { $0.note.modes.map(\.name) }).sorted() }
    }
}

/// Where a mode is found: enough to find it again, in this process or another.
package struct PluginLocation: Equatable, Sendable {
    /// Of the file.
    package let path: String
    /// The mode that was asked for.
    package let mode: PluginMode

    package init(path: String, mode: PluginMode) {
        self.path = path
        self.mode = mode
    }
}

/// The plugin that serves a mode.
package struct PluginChoice: Sendable {
    /// The plugin that was found.
    package let file: PluginFile
    /// The mode that was asked for.
    package let mode: PluginMode
    /// Files that offer the mode too, in directories of lower precedence.
    package let shadowed: [String]

    /// Whether the file stands in one of some folders, by whatever names they are called.
    package func isIn(_ folders: [String]) -> Bool {
        guard let own = Self.resolved(file.directory) else { return false }
        return folders.contains { Self.resolved($0) == own }
    }

    private static func resolved(_ path: String) -> String? {
        guard let real = realpath(path.isEmpty ? "." : path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }

    /// File and mode together.
    package var location: PluginLocation { PluginLocation(path: file.path, mode: mode) }
}
