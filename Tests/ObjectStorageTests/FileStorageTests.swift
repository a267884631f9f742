import Foundation
import Glibc
import Telemetry
import Testing

@testable import ObjectStorage

struct FileStorageTests {
    private let root: String
    private let stop = StopFlag()

    init() throws {
        root =
            FileManager.default.temporaryDirectory.appending(path: "rqd-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(
            atPath: root, withIntermediateDirectories: true)
    }

    private func storage(timestamp: Bool = false, name: String = "copy") throws -> any StoragePlace
    {
        let text =
            #"{"type":"file","interval":"1s","sub":{"dir":"\#(root)/a/b","name":"\#(name)"}}"#
        return try AutoBackupSettings(parsing: Array(text.utf8)) { _ in nil }
            .destination.place(hasTimestamp: timestamp) { _ in nil }
    }

    private func copy(_ text: String) throws -> UploadFile {
        let file = try UploadFile(in: "\(root)/spool")
        try file.add(Array(text.utf8))
        _ = try file.finish()
        return file
    }

    private var names: [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: "\(root)/a/b"))?.sorted() ?? []
    }

    private func content(_ name: String) throws -> String {
        try String(contentsOfFile: "\(root)/a/b/\(name)", encoding: .utf8)
    }

    @Test func `A copy is there under its name, and beside it what it is`() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        let storage = try storage()
        #expect(try storage.marker(stop) == nil)
        let marker = BackupMarker(index: 7, cluster: "c", digest: "d")
        try storage.store(try copy("one"), marker, at: .init(seconds: 1), stop)
        try storage.store(try copy("two"), marker, at: .init(seconds: 2), stop)
        #expect(names == ["METADATA.json", "copy"])
        #expect(try content("copy") == "two")
        #expect(try storage.marker(stop) == marker)
        var fetched: [UInt8] = []
        let taken = Taken()
        try storage.fetch(timeout: .seconds(5), stop) { taken.bytes += $0 }
        fetched = taken.bytes
        #expect(String(decoding: fetched, as: UTF8.self) == "two")
        // rqlite's members.
        #expect(try content("METADATA.json").contains(#""id":"7""#))
        #expect(try content("METADATA.json").contains(#""timestamp":2000"#))
    }

    private final class Taken { var bytes: [UInt8] = [] }

    @Test func `Copies with times in their names stay beside one another`() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        let storage = try storage(timestamp: true)
        for second: Int64 in [0, 1] {
            try storage.store(
                try copy("\(second)"), BackupMarker(index: 1), at: .init(seconds: second), stop)
        }
        #expect(names == ["19700101000000_copy", "19700101000001_copy", "METADATA.json"])
    }

    @Test func `What is said of a copy that is gone, or is no document, says nothing`() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        let storage = try storage()
        try storage.store(try copy("x"), BackupMarker(index: 1), at: .init(seconds: 1), stop)
        #expect(try storage.lookup(stop).marker?.index == 1)
        try FileManager.default.removeItem(atPath: "\(root)/a/b/METADATA.json")
        #expect(try storage.lookup(stop) == .unmarked)
        try storage.store(try copy("x"), BackupMarker(index: 1), at: .init(seconds: 1), stop)
        try FileManager.default.removeItem(atPath: "\(root)/a/b/copy")
        #expect(try storage.lookup(stop) == .nothing)
        for text in ["", "{", "[]", #"{"id":7,"name":5}"#] {
            try Data(text.utf8).write(to: URL(filePath: "\(root)/a/b/METADATA.json"))
            #expect(try storage.marker(stop) == nil)
        }
    }

    @Test func `What is said of a copy of another name says nothing of this one`() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        let marker = BackupMarker(index: 1, cluster: "c", digest: "d")
        try storage().store(try copy("x"), marker, at: .init(seconds: 1), stop)
        let other = try storage(name: "other")
        #expect(try other.lookup(stop) == .nothing)
        try Data("y".utf8).write(to: URL(filePath: "\(root)/a/b/other"))
        #expect(try other.lookup(stop) == .unmarked)
        let timed = try storage(timestamp: true)
        #expect(try timed.lookup(stop) == .unmarked)
        try timed.store(try copy("x"), marker, at: .init(seconds: 1), stop)
        #expect(try timed.lookup(stop) == .marked(marker))
        // With times in their names no more, it is another copy.
        #expect(try storage().lookup(stop) == .unmarked)
    }

    @Test func `A copy that can't be written leaves the last one, and nothing unfinished`() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        let storage = try storage()
        try storage.store(try copy("good"), BackupMarker(index: 1), at: .init(seconds: 1), stop)
        let raised = StopFlag()
        raised.raise()
        #expect(throws: StorageFault.self) {
            try storage.store(
                try copy("bad"), BackupMarker(index: 2), at: .init(seconds: 1), raised)
        }
        #expect(try content("copy") == "good")
        #expect(names == ["METADATA.json", "copy"])
    }

    @Test func `What of an archive can't be looked at is not taken for missing`() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        let storage = try storage()
        #expect(try storage.list(archive: "c/", stop).isEmpty)
        try storage.store(try copy("one"), inArchive: "c/b/base", stop)
        let folder = "\(root)/a/b/copy.archive/c/b"
        // One that leads nowhere is gone.
        try FileManager.default.createSymbolicLink(
            atPath: "\(folder)/gone", withDestinationPath: "\(folder)/nothing")
        #expect(try storage.list(archive: "c/b/", stop) == ["base"])
        try FileManager.default.createSymbolicLink(
            atPath: "\(folder)/loop", withDestinationPath: "\(folder)/loop")
        #expect(throws: StorageFault.self) { try storage.list(archive: "c/b/", stop) }
    }

    @Test func `A directory that can't be listed is not taken for one without anything in it`()
        throws
    {
        defer { try? FileManager.default.removeItem(atPath: root) }
        let path = "\(root)/file"
        try Data().write(to: URL(filePath: path))
        #expect(try DirectoryNames.all(of: root) == ["file"])
        #expect(try DirectoryNames.all(of: "\(root)/none").isEmpty)
        #expect(throws: StorageFault.self) { try DirectoryNames.all(of: path) }
    }

    @Test func `A file that can't be opened for now is no file that is not there`() {
        for code in [EIO, EMFILE, ENFILE, ENOMEM, ESTALE, ETIMEDOUT] {
            #expect(FileStorage.fault(opening: "/a", code).isTransient, "\(code)")
        }
        for code in [EACCES, ENOENT, ENOTDIR] {
            #expect(!FileStorage.fault(opening: "/a", code).isTransient, "\(code)")
        }
    }

    @Test func `A copy that can't be looked at is not taken for none`() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        let storage = try storage()
        #expect(try storage.lookup(stop) == .nothing)
        try storage.store(
            try copy("one"), BackupMarker(index: 7, cluster: "c"), at: .init(seconds: 1), stop)
        for name in ["METADATA.json", "copy"] {
            let path = "\(root)/a/b/\(name)"
            try FileManager.default.removeItem(atPath: path)
            try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: path)
            #expect(throws: StorageFault.self) { try storage.lookup(stop) }
        }
    }

    /// It may be another user's, as where nodes share the directory.
    @Test func `What is said of a copy and can't be read for good keeps no copy away`() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        let storage = try storage()
        let marker = BackupMarker(index: 7, cluster: "c")
        try storage.store(try copy("one"), marker, at: .init(seconds: 1), stop)
        // Root may read all there is; nobody gets to the end of this.
        let path = "\(root)/a/b/METADATA.json"
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: path)
        let fault = try #require(
            #expect(throws: StorageFault.self) { try storage.lookup(stop) })
        #expect(!UploadSchedule.isVain(after: fault, isGuarded: false))
        #expect(UploadSchedule.isVain(after: fault, isGuarded: true))
        try storage.store(try copy("two"), marker, at: .init(seconds: 2), stop)
        #expect(try storage.lookup(stop) == .marked(marker))
    }

    @Test func `What an ended process left unfinished goes after a day`() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        let storage = try storage()
        try storage.store(try copy("x"), BackupMarker(index: 1), at: .now(), stop)
        try Data().write(to: URL(filePath: "\(root)/a/b/.upload-abc"))
        try storage.store(try copy("x"), BackupMarker(index: 1), at: .now(), stop)
        #expect(names.contains(".upload-abc"))
        let later = WallTime(seconds: WallTime.now().seconds + 90_000)
        try storage.store(try copy("x"), BackupMarker(index: 1), at: later, stop)
        #expect(names == ["METADATA.json", "copy"])
        // A base is as large, and may come where no copy does.
        let left = "\(root)/a/b/.upload-def"
        try Data().write(to: URL(filePath: left))
        try storage.store(try copy("x"), inArchive: "c/b/base", stop)
        #expect(names.contains(".upload-def"))
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: -90_000)], ofItemAtPath: left)
        try storage.store(try copy("x"), inArchive: "c/b/1-2", stop)
        #expect(names.contains(".upload-def"))
        try storage.store(try copy("x"), inArchive: "c/b/base", stop)
        #expect(names == ["METADATA.json", "copy", "copy.archive"])
    }

    /// As far as the file system of this directory keeps it; one of them may make another of it.
    @Test func `An unfinished file may have any time`() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        let storage = try storage()
        try storage.store(try copy("x"), BackupMarker(index: 1), at: .now(), stop)
        let path = "\(root)/a/b/.upload-abc"
        for seconds in [Int.max, Int.min, 0] {
            try Data().write(to: URL(filePath: path))
            let time = timespec(tv_sec: seconds, tv_nsec: 0)
            guard utimensat(AT_FDCWD, path, [time, time], 0) == 0 else { continue }
            try storage.store(try copy("x"), BackupMarker(index: 1), at: .now(), stop)
        }
        #expect(!names.contains(".upload-abc"))
    }

    @Test func `What is to be uploaded leaves room on the disk for log and database`() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        let file = try UploadFile(in: "\(root)/spool")
        file.spareBytes = 1 << 62
        let fault = #expect(throws: StorageFault.self) { try file.add([1, 2, 3]) }
        #expect(fault?.description.contains("no room") == true)
        #expect(fault?.isTransient == true)
        #expect(file.byteCount == 0)
        // Of a disk that fills meanwhile; it is not looked at for each byte.
        file.spareBytes = 0
        try file.add([UInt8](repeating: 7, count: 1 << 20))
        file.spareBytes = 1 << 62
        #expect(throws: StorageFault.self) {
            for _ in 0..<9 { try file.add([UInt8](repeating: 7, count: 1 << 20)) }
        }
        #expect(file.byteCount <= 8 << 20)
    }
}
