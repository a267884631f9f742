import Glibc
import PluginABI

/// A plugin that is loaded and whose descriptor was found right. It is never unloaded: runtimes such
/// as Swift's and Go's can't be.
///
/// `@unchecked Sendable`: the descriptor is constant and lives until the process ends, by contract.
package final class Plugin: @unchecked Sendable {
    /// The file, and which of its modes is used.
    package let location: PluginLocation
    /// What the plugin says of itself.
    package let identity: PluginIdentity
    /// JSON Schema of the configuration; empty if the plugin has none.
    package let configSchema: String
    let descriptor: UnsafePointer<rqd_plugin>
    /// As much of it as this host knows.
    let table: rqd_plugin

    /// Loads the chosen file, or gives what was loaded before. Blocks while the object is loaded.
    /// - Parameter isOwnProcess: whether this process is there for the plugin alone.
    package convenience init(
        loading choice: PluginChoice, isOwnProcess: Bool = false
    ) throws(PluginRefusal) {
        guard isOwnProcess || !choice.file.note.needsOwnProcess else { throw .needsOwnProcess }
        try self.init(choice, trust: .ofThisProcess)
    }

    init(_ choice: PluginChoice, trust: PluginTrust) throws(PluginRefusal) {
        try choice.file.checkUnchanged(trust: trust)
        let entry = try Self.entry(of: choice.file.path)
        // The loader went by the path as well, and may have met another file there, or have loaded
        // an object of that name before. Nothing of the plugin has been called yet.
        try choice.file.checkUnchanged(trust: trust)
        try MappedObject(holding: unsafeBitCast(entry, to: UInt.self))?.check(choice.file)
        guard let descriptor = entry(RQD_ABI_MAJOR, RQD_ABI_MINOR) else {
            throw .wrongDescriptor(
                "it declined to run on plugin ABI \(RQD_ABI_MAJOR).\(RQD_ABI_MINOR)")
        }
        let size = descriptor.pointee.size
        guard Int(size) >= MemoryLayout<rqd_plugin>.size else {
            throw .wrongDescriptor("it has \(size) bytes; at least 152 are needed")
        }
        let table = ABI.copy(descriptor, rqd_plugin(), size: size)
        try Self.compare(table, with: choice.file.note)
        guard table.create != nil, table.destroy != nil, table.get_interface != nil else {
            throw .wrongDescriptor("create, destroy or get_interface is missing")
        }
        location = choice.location
        identity = PluginIdentity(
            id: try Self.text(table.id, "id", required: true),
            version: try Self.text(table.version, "version", required: true),
            vendor: try Self.text(table.vendor, "vendor"),
            license: try Self.text(table.license, "license"))
        _ = try Self.text(table.url, "url")
        guard let schema = ABI.text(table.config_schema, limit: RQD_MAX_SCHEMA) else {
            throw .wrongDescriptor("config_schema is not a text of up to \(RQD_MAX_SCHEMA) bytes")
        }
        configSchema = schema
        self.descriptor = descriptor
        self.table = table
    }

    /// Of the file.
    package var path: String { location.path }
    /// The mode that is used.
    package var mode: PluginMode { location.mode }
    /// The plugin's own name for itself.
    package var id: String { identity.id }

    private static func entry(of path: String) throws(PluginRefusal) -> rqd_entry {
        // A bare name would be searched for among the system's libraries.
        let file = path.utf8.contains(UInt8(ascii: "/")) ? path : "./" + path
        guard let handle = dlopen(file, RTLD_NOW | RTLD_LOCAL) else {
            throw Self.refusal(dlerror().map { String(cString: $0) } ?? "no reason given", file)
        }
        guard let symbol = dlsym(handle, "rqlite_disco_entry") else {
            throw .notLoadable("it does not export rqlite_disco_entry")
        }
        return unsafeBitCast(symbol, to: rqd_entry.self)
    }

    /// The loader says `libx.so.1: cannot open shared object file: …` of what is missing.
    private static func refusal(_ cause: String, _ file: String) -> PluginRefusal {
        let parts = cause.split(separator: ":", maxSplits: 1)
        if parts.count == 2, parts[0] != file, parts[1].hasPrefix(" cannot open shared object file")
        {
            return .missingLibrary(String(parts[0]))
        }
        return .notLoadable(cause)
    }

    private static func compare(_ table: rqd_plugin, with note: PluginNote) throws(PluginRefusal) {
        let version = PluginNote.Version(
            major: table.abi_major, minor: table.abi_minor, minorNeeded: table.abi_minor_needed)
        // What it was built against decides nothing, and the two come to differ when a plugin whose
        // note is written out by hand is built again with a newer header.
        guard version.major == note.version.major, version.minorNeeded == note.version.minorNeeded
        else {
            throw .wrongDescriptor("its ABI version differs from the note's")
        }
        guard (1...RQD_MAX_MODES).contains(table.mode_count), let pointers = table.modes else {
            throw .wrongDescriptor("it has \(table.mode_count) modes")
        }
        var modes: [PluginMode] = []
        for index in 0..<Int(table.mode_count) {
            guard let pointer = pointers[index],
                Int(pointer.pointee.size) >= MemoryLayout<rqd_mode>.size,
                let name = ABI.text(pointer.pointee.name, limit: RQD_MAX_MODE),
                PluginMode.isValid(name: name)
            else { throw .wrongDescriptor("its mode \(index) is malformed") }
            guard let role = PluginRole(rawValue: pointer.pointee.role) else { continue }
            modes.append(PluginMode(name: name, role: role))
        }
        guard
            modes.sorted(by: { $0.name < $1.name }) == note.modes.sorted(by: { $0.name < $1.name })
        else { throw .wrongDescriptor("its modes differ from the note's") }
    }

    private static func text(
        _ text: rqd_text, _ member: String, required: Bool = false
    ) throws(PluginRefusal) -> String {
        guard let value = ABI.text(text, limit: RQD_MAX_TEXT), !(required && value.isEmpty) else {
            throw .wrongDescriptor("\(member) is not a text of up to \(RQD_MAX_TEXT) bytes")
        }
        return value
    }
}
