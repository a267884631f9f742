internal import CSQLite
internal import Glibc
package import SQLite
internal import Synchronization

/// The loadable extensions of SQLite that an operator gave the node, and what they may be used for.
///
/// They are of the process, as the library is: chosen once, before the first connection is opened, and
/// loaded into each by `SessionSetup`, before the daemon's own functions, which stay what they are. What
/// an extension registers is found by loading it into an empty database:
///
/// - A function that says it is deterministic may stand wherever SQLite's own may. All others are like
///   functions whose results differ between nodes: in reads alone. The authorizer says so when a
///   statement is compiled; on connections that write something else stands in their place that fails,
///   for what a schema calls was perhaps let in before the extension came, and isn't asked about.
/// - Modules of virtual tables say nothing of the kind. Connections that write don't have them.
///
/// Thread-safe.
package struct SQLExtensions: Equatable, Sendable {
    /// A shared object.
    package struct File: Equatable, Sendable {
        /// As it is loaded: path and name in the data directory.
        package let path: String
        package let name: String
        /// Of name and bytes, 16 digits.
        package let hash: String
    }

    /// In the order in which they are loaded.
    package let files: [File]
    /// Functions that they registered, in lower case, and whether all that bear the name are
    /// deterministic.
    let functions: [String: Bool]
    /// Those of them that are not, in order.
    private let unsteady: [Signature]
    /// SQLite's own modules.
    let modules: [String]

    /// None.
    package static let none = SQLExtensions(
        files: [], functions: [:], unsteady: [], modules: [])

    /// Those of this process.
    package static var current: SQLExtensions { shared.withLock { $0 } }

    private static let shared = Mutex(SQLExtensions.none)
    /// `current` is none. Looked at for each function that a statement calls.
    private static let isEmpty = Atomic(true)

    /// Copies what the operator named into the directory, loads it once to see what it has, and makes
    /// it those of this process. Before the first connection is opened.
    /// - Parameter sources: paths of folders, archives and shared objects.
    /// - Throws: `ExtensionFault`, which names the file.
    package static func install(_ sources: [String], in directory: String) throws(ExtensionFault) {
        let files = try ExtensionFolder(directory).gather(sources)
        guard !files.isEmpty else { return }
        let found = try SQLExtensions(loading: files)
        if found.functions["regexp"] != nil { csqlite_leave_regexp() }
        shared.withLock { $0 = found }
        isEmpty.store(false, ordering: .releasing)
    }

    private init(
        files: [File], functions: [String: Bool], unsteady: [Signature], modules: [String]
    ) {
        self.unsteady = unsteady
        self.files = files
        self.functions = functions
        self.modules = modules
    }

    /// Loads them into an empty database in memory.
    init(loading files: [File]) throws(ExtensionFault) {
        guard sqlite3_compileoption_used("OMIT_LOAD_EXTENSION") == 0 else {
            throw ExtensionFault(
                "SQLite \(Engine.version) was built without loadable extensions")
        }
        var subject = "an empty database"
        do throws(SQLiteError) {
            let connection = try Connection(path: ":memory:", access: .create)
            let before = try connection.functions()
            modules = try connection.modules()
            for file in files {
                subject = file.path
                try Self.pin(file)
                try connection.loadExtension(file.path)
            }
            let own = try Self.ownFunctions()
            var functions: [String: Bool] = [:]
            var unsteady: Set<Signature> = []
            for (function, count) in try connection.functions()
            where count > before[function] ?? 0 && !own.contains(Signature(function)) {
                functions[function.name] =
                    (functions[function.name] ?? true) && function.isDeterministic
                if !function.isDeterministic { unsteady.insert(Signature(function)) }
            }
            self.unsteady = unsteady.sorted {
                ($0.name, $0.argumentCount ?? -1) < ($1.name, $1.argumentCount ?? -1)
            }
            self.functions = functions
            self.files = files
        } catch {
            throw ExtensionFault("loading the SQLite extension \(subject) failed: \(error.message)")
        }
    }

    /// By which a later function takes the place of an earlier one.
    private struct Signature: Hashable, Sendable {
        let name: String
        let argumentCount: Int?

        init(_ function: Connection.ListedFunction) {
            name = function.name
            argumentCount = function.argumentCount
        }
    }

    /// The daemon's, which take the place of an extension's of the same name and number of arguments.
    /// But for REGEXP, which only a request in which LIKE means something else sees.
    private static func ownFunctions() throws(SQLiteError) -> Set<Signature> {
        let connection = try Connection(path: ":memory:", access: .create)
        let before = try connection.functions()
        try SQLFunctions.register(on: connection, context: FunctionContext(chance: .engine))
        let after = try connection.functions()
        return Set(
            after.filter { $0.value > before[$0.key] ?? 0 && $0.key.name != CSQLITE_SENSITIVE_LIKE }
                .map { Signature($0.key) })
    }

    /// Gives a new connection what they have.
    /// - Parameter writes: it may change a database, or checks what may come into one.
    func load(on connection: borrowing Connection, writes: Bool) throws(SQLiteError) {
        for file in files {
            do throws(SQLiteError) {
                try connection.loadExtension(file.path)
            } catch {
                throw SQLiteError(
                    extendedCode: error.extendedCode,
                    message: "loading the SQLite extension \(file.path) failed: \(error.message)")
            }
        }
        guard writes, !files.isEmpty else { return }
        try connection.dropModules(except: modules)
        for signature in unsteady {
            let rc = RefusedFunction.register(
                signature.name, signature.argumentCount, on: connection.pointer)
            guard rc == SQLITE_OK else { throw connection.lastError }
        }
    }

    /// Keeps a shared object in the process, and has the system's loader say what is wrong with one:
    /// SQLite tells of the last name that it tried only.
    private static func pin(_ file: File) throws(SQLiteError) {
        guard dlopen(file.path, RTLD_NOW | RTLD_LOCAL) == nil else { return }
        throw SQLiteError(
            extendedCode: SQLITE_ERROR,
            message: dlerror().map { String(cString: $0) } ?? "the loader gives no reason")
    }

    /// The function is an extension's, and may give other results on another node, or the next time.
    /// - Parameter name: in lower case.
    static func isUnsteady(_ name: String) -> Bool {
        guard !isEmpty.load(ordering: .acquiring) else { return false }
        return shared.withLock { $0.functions[name] == false }
    }

    /// Some extension has functions that may not be used everywhere.
    static var areThere: Bool { !isEmpty.load(ordering: .acquiring) }

    /// What nodes tell each other of them, in the fingerprint of their engines: it is part of every
    /// greeting, and so of many files only the number and one hash.
    package var probes: [EngineFingerprint.Probe] {
        guard files.count > 16 else {
            return files.map {
                EngineFingerprint.Probe(name: String(Self.plain($0.name).prefix(64)), hash: $0.hash)
            }
        }
        let all = ExtensionFolder.hash(files.map { Array($0.hash.utf8) })
        return [EngineFingerprint.Probe(name: "\(files.count)-files", hash: all)]
    }

    /// Nothing that separates parts of a fingerprint; the hash is of the whole name.
    private static func plain(_ name: String) -> String {
        String(
            name.map { character in
                character.isASCII && (character.isLetter || character.isNumber)
                    || "._+-".contains(character) ? character : "_"
            })
    }
}

/// Why extensions can't be loaded, for the operator: with the file.
package struct ExtensionFault: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// What stands for a function that is not deterministic where that matters.
private final class RefusedFunction {
    private let name: String

    private init(_ name: String) { self.name = name }

    /// - Parameter count: of arguments; nil: any.
    static func register(_ name: String, _ count: Int?, on db: OpaquePointer) -> Int32 {
        sqlite3_create_function_v2(
            db, name, Int32(clamping: count ?? -1), SQLITE_UTF8,
            Unmanaged.passRetained(RefusedFunction(name)).toOpaque(),
            { call, _, _ in
                guard let context = sqlite3_user_data(call) else {
                    return sqlite3_result_error_nomem(call)
                }
                let name = Unmanaged<RefusedFunction>.fromOpaque(context).takeUnretainedValue()
                    .name
                sqlite3_result_error(call, Guard.nodeLocalText("\(name)()"), -1)
            }, nil, nil,
            { context in
                if let context { Unmanaged<RefusedFunction>.fromOpaque(context).release() }
            })
    }
}
