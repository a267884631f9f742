import Chance
import Foundation

/// What a disk may hold at a moment of a recording, if the power fails then: of all that no sync has
/// reported as done, any part.
struct RecordedDisk {
    /// What becomes of that which was not synced.
    enum Fate: CaseIterable {
        /// All of it is there, as after a kill of the process alone.
        case kept
        /// Nothing of it.
        case lost
        /// Any names, and any sectors of 512 bytes.
        case mixed
    }

    private enum Change {
        case write(offset: Int, [UInt8])
        case resize(Int)
        case reserve(Int)
    }

    private struct File {
        var isDirectory: Bool
        var durable: [UInt8] = []
        var pending: [(time: Int, change: Change)] = []
    }

    private enum NameChange {
        case add(String, Int)
        case remove(String)
        case rename(String, String)

        var directory: Substring {
            switch self {
            case .add(let path, _), .remove(let path), .rename(_, let path):
                RecordedDisk.parent(of: path)
            }
        }

        func apply(to names: inout [String: Int]) {
            switch self {
            case .add(let path, let file): names[path] = file
            case .remove(let path): names[path] = nil
            case .rename(let from, let to):
                guard let file = names.removeValue(forKey: from) else { return }
                names[to] = file
            }
        }
    }

    private let root: String
    private var time = 0
    private var files: [File] = []
    /// The file that has an inode's number now.
    private var inodes: [UInt64: Int] = [:]
    private var durableNames: [String: Int] = [:]
    private var pendingNames: [(time: Int, change: NameChange)] = []
    private var syncs: [UInt64: (file: Int, time: Int)] = [:]

    /// - Parameter root: the directory that was recorded; it is there from the beginning.
    init(root: String) {
        self.root = root
    }

    /// Goes on by one record.
    mutating func take(_ record: DiskRecord) {
        time += 1
        let file = inodes[record.inode]
        switch record.kind {
        case .fileCreated, .directoryCreated:
            inodes[record.inode] = files.count
            files.append(File(isDirectory: record.kind == .directoryCreated))
            guard record.path != root else { return }
            pendingNames.append((time, .add(record.path, files.count - 1)))
        case .renamed:
            let to = String(decoding: record.bytes, as: UTF8.self)
            pendingNames.append((time, .rename(record.path, to)))
        case .removed: pendingNames.append((time, .remove(record.path)))
        case .written:
            guard let file else { return }
            let change = Change.write(offset: Int(record.number), record.bytes)
            files[file].pending.append((time, change))
        case .resized:
            guard let file else { return }
            files[file].pending.append((time, .resize(Int(record.number))))
        case .reserved:
            guard let file else { return }
            files[file].pending.append((time, .reserve(Int(record.number))))
        case .syncBegan:
            guard let file else { return }
            syncs[record.number] = (file, time)
        case .syncEnded: endSync(record.number)
        case .acknowledged, .milestone: break
        }
    }

    private mutating func endSync(_ number: UInt64) {
        guard let (file, began) = syncs.removeValue(forKey: number) else { return }
        if files[file].isDirectory {
            let paths = directoryPaths(of: file)
            for (_, change) in pendingNames.filter({
                $0.time < began && paths.contains(String($0.change.directory))
            }) {
                change.apply(to: &durableNames)
            }
            pendingNames.removeAll {
                $0.time < began && paths.contains(String($0.change.directory))
            }
        } else {
            var durable: [UInt8] = []
            swap(&durable, &files[file].durable)
            for (at, change) in files[file].pending where at < began {
                Self.apply(change, to: &durable) { true }
            }
            swap(&durable, &files[file].durable)
            files[file].pending.removeAll { $0.time < began }
        }
    }

    private func directoryPaths(of file: Int) -> Set<String> {
        var paths = Set(durableNames.filter { $0.value == file }.map(\.key))
        for case .add(let path, file) in pendingNames.map(\.change) { paths.insert(path) }
        // The recorded directory itself has no name in here.
        if paths.isEmpty { paths.insert(root) }
        return paths
    }

    fileprivate static func parent(of path: String) -> Substring {
        path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
    }

    private static func apply(
        _ change: Change, to content: inout [UInt8], keeps: () -> Bool
    ) {
        switch change {
        case .resize(let size):
            guard keeps() else { return }
            if size < content.count { content.removeLast(content.count - size) }
            grow(&content, to: size)
        case .reserve(let size):
            if keeps() { grow(&content, to: size) }
        case .write(let offset, let bytes):
            var begin = offset
            let end = offset + bytes.count
            while begin < end {
                let next = min(end, (begin / 512 + 1) * 512)
                if keeps() {
                    grow(&content, to: next)
                    put(bytes[begin - offset..<next - offset], into: &content, at: begin)
                }
                begin = next
            }
        }
    }

    // As a whole, for byte by byte a build without optimizations takes longer than all else here.

    private static func put(
        _ bytes: ArraySlice<UInt8>, into content: inout [UInt8], at begin: Int
    ) {
        content.withUnsafeMutableBytes { content in
            bytes.withUnsafeBytes { bytes in
                let place = content[begin..<begin + bytes.count]
                UnsafeMutableRawBufferPointer(rebasing: place).copyMemory(from: bytes)
            }
        }
    }

    private static func grow(_ content: inout [UInt8], to size: Int) {
        let more = size - content.count
        guard more > 0 else { return }
        content += [UInt8](unsafeUninitializedCapacity: more) { zeros, count in
            if let begin = zeros.baseAddress { memset(begin, 0, more) }
            count = more
        }
    }

    // MARK: Loss of power

    /// What the next start finds: a file's bytes by its path below the directory; nil: a directory.
    func crash(_ fate: Fate, from random: inout SplitMix64) -> [String: [UInt8]?] {
        func keeps() -> Bool {
            switch fate {
            case .kept: true
            case .lost: false
            case .mixed: random.chance(1, of: 2)
            }
        }
        var names = durableNames
        for (_, change) in pendingNames where keeps() { change.apply(to: &names) }
        var found: [String: [UInt8]?] = [:]
        for path in names.keys.sorted() {
            guard let number = names[path] else { continue }
            // A name in a directory that is not there is not there either.
            let above = String(Self.parent(of: path))
            guard above == root || names[above] != nil else { continue }
            let relative = String(path.dropFirst(root.count + 1))
            if files[number].isDirectory {
                found.updateValue(nil, forKey: relative)
                continue
            }
            var content = files[number].durable
            for (_, change) in files[number].pending {
                Self.apply(change, to: &content, keeps: keeps)
            }
            found.updateValue(content, forKey: relative)
        }
        return found
    }

    /// Writes such a state into an empty directory, with holes where there are zeros.
    static func lay(_ state: [String: [UInt8]?], into directory: String) throws {
        for path in state.keys.sorted() {
            guard let content = state[path] else { continue }
            guard let content else {
                try FileManager.default.createDirectory(
                    atPath: "\(directory)/\(path)", withIntermediateDirectories: true)
                continue
            }
            let file = open("\(directory)/\(path)", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
            defer { close(file) }
            guard file >= 0, ftruncate(file, off_t(content.count)) == 0 else {
                throw CocoaError(.fileWriteUnknown)
            }
            let zeros = [UInt8](repeating: 0, count: 4096)
            try content.withUnsafeBytes { bytes in
                for begin in stride(from: 0, to: bytes.count, by: 4096) {
                    let count = min(4096, bytes.count - begin)
                    guard let start = bytes.baseAddress.map({ $0 + begin }),
                        memcmp(start, zeros, count) != 0
                    else { continue }
                    guard pwrite(file, start, count, off_t(begin)) == count else {
                        throw CocoaError(.fileWriteUnknown)
                    }
                }
            }
        }
    }
}
