import PluginABI

/// Why a file is not taken as a plugin. None of its code has run, but for the last three cases.
package enum PluginRefusal: Error, Equatable, Sendable, CustomStringConvertible {
    case unreadable(String)
    /// File or directory could be changed by someone who is neither root nor this user.
    case untrusted(path: String, why: String)
    case malformedFile(String)
    case noNote
    case malformedNote(String)
    case wrongVersion(needs: String)
    case missingLibrary(String)
    case notLoadable(String)
    case wrongDescriptor(String)
    /// It must not run in this process.
    case needsOwnProcess

    package var description: String {
        switch self {
        case .unreadable(let cause): "it can't be read: \(cause)"
        case .untrusted(let path, let why):
            "\(path) \(why); plugins are loaded only from what none but root and this user can change"
        case .malformedFile(let what): what
        case .noNote:
            "it has no \(RQD_NOTE_NAME) note, so it is not a discovery plugin (see RQD_NOTE in "
                + "rqlite_disco.h)"
        case .malformedNote(let what): "its \(RQD_NOTE_NAME) note is malformed: \(what)"
        case .wrongVersion(let needs):
            "it needs plugin ABI \(needs); this program has \(RQD_ABI_MAJOR).\(RQD_ABI_MINOR)"
        case .missingLibrary(let name):
            "it needs the shared library \(name), which is not installed"
        case .notLoadable(let cause): "it can't be loaded: \(cause)"
        case .needsOwnProcess:
            "it must run in a process of its own: leave out -disco-isolation=none (a plugin in Go, or "
                + "one whose note says so, would change the signal handlers of this program)"
        case .wrongDescriptor(let what): "its descriptor is wrong: \(what)"
        }
    }
}
