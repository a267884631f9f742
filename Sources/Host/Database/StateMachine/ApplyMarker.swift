internal import Glibc
package import Raft
package import Wire

/// An entry that ended the process more than once while it was applied.
package struct PoisonSuspicion: Equatable, Sendable, CustomStringConvertible {
    package var index: LogIndex
    /// CRC-32C of the entry's payload, as a skip must name it; zero for entries that are no command.
    package var hash: UInt32
    /// The first statement at which it did.
    package var place: StatementPlace
    /// How often.
    package var count: Int

    package var description: String {
        "log entry \(index) (hash \(hash)) ended the process \(count) times while its statement "
            + "\(place.text), from byte \(place.offset) on, was being applied"
    }
}

/// Remembers across the end of the process which entry was being applied: in a file that is mapped
/// into memory. Nothing is synced: what the process wrote survives it, and after a loss of power the
/// worst is that one end is not counted.
///
/// The file `applying`, little-endian words of 8 bytes:
///
///     0  "rqapply1"
///     1  index of the entry being applied; 0: none
///     2  its statement: text in the upper half, offset in the lower
///     3  index of the entry that was being applied when the process ended last; 0: none
///     4  the first statement at which it ended in that entry
///     5  how often it ended in that entry
///
/// It belongs to the thread that applies.
package final class ApplyMarker {
    private static let magic = UInt64(littleEndian: 0x31_79_6C_70_70_61_71_72)
    private static let size = 4096

    private enum Word: Int {
        case magic, index, place, suspectIndex, suspectPlace, suspectCount
    }

    private let words: UnsafeMutablePointer<UInt64>
    /// How often an entry must have ended the process to be suspected.
    private static let suspicious = 2
    /// Somebody decided to try the suspect again in this run of the process.
    private var isTriedAgain = false

    /// Opens the file, makes it where there is none, and counts how the process before this one
    /// ended. Once per run of the process.
    package init(path: String) throws(DirectoryError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw .system(operation: "opening", path: path, code: errno)
        }
        defer { close(descriptor) }
        // Room on the disk must be there: writing to a mapped hole of a full disk is a SIGBUS.
        let code = posix_fallocate(descriptor, 0, off_t(Self.size))
        guard code == 0 else { throw .system(operation: "enlarging", path: path, code: code) }
        let mapped = mmap(
            nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard let mapped, mapped != MAP_FAILED else {
            throw .system(operation: "mapping", path: path, code: errno)
        }
        words = mapped.bindMemory(to: UInt64.self, capacity: Self.size / 8)
        if self[.magic] != Self.magic {
            for word in 0..<Self.size / 8 { words[word] = 0 }
            self[.magic] = Self.magic
        }
        countLastEnd()
    }

    deinit {
        munmap(words, Self.size)
    }

    private subscript(word: Word) -> UInt64 {
        get { UInt64(littleEndian: words[word.rawValue]) }
        set { words[word.rawValue] = newValue.littleEndian }
    }

    private func countLastEnd() {
        let index = self[.index]
        guard index != 0 else { return }
        if index == self[.suspectIndex] {
            self[.suspectPlace] = min(self[.suspectPlace], self[.place])
            // The file may hold anything: a trap here would end every start.
            if self[.suspectCount] < .max { self[.suspectCount] += 1 }
        } else {
            self[.suspectIndex] = index
            self[.suspectPlace] = self[.place]
            self[.suspectCount] = 1
        }
        self[.index] = 0
    }

    // MARK: While applying

    func begin(_ index: LogIndex) {
        self[.place] = 0
        self[.index] = index.rawValue
    }

    func reach(_ place: StatementPlace) {
        self[.place] = UInt64(place.text) << 32 | UInt64(place.offset)
    }

    /// Nothing is being applied.
    func end() {
        self[.index] = 0
    }

    /// Everything up to here is in the database for good.
    func applied(through index: LogIndex) {
        guard self[.suspectIndex] != 0, self[.suspectIndex] <= index.rawValue else { return }
        self[.suspectIndex] = 0
        isTriedAgain = false
    }

    // MARK: Suspicion

    /// The entry that must not be applied without a decision, but for its hash.
    var suspicion: PoisonSuspicion? {
        let count = self[.suspectCount]
        guard self[.suspectIndex] != 0, count >= UInt64(Self.suspicious), !isTriedAgain
        else { return nil }
        let place = self[.suspectPlace]
        return PoisonSuspicion(
            index: LogIndex(self[.suspectIndex]), hash: 0,
            place: StatementPlace(
                text: Int(place >> 32), offset: Int(place & 0xFFFF_FFFF)),
            count: Int(clamping: count))
    }

    /// Lets the suspect be applied once more. If it ends the process again it is suspected again.
    func tryAgain() {
        isTriedAgain = true
    }
}
