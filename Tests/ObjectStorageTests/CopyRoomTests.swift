import Testing

@testable import ObjectStorage

struct CopyRoomTests {
    private let room = CopyRoom()

    private func gather(_ copy: Int) throws -> Int? {
        try room.turn(while: { true }) { () throws(StorageFault) -> Int? in copy }
    }

    @Test func `Copies are gathered one at a time, and nobody waits who is not wanted`() throws {
        var looks = 0
        let first = try room.turn(while: { true }) { () throws(StorageFault) -> String? in
            let second = try room.turn(while: {
                looks += 1
                return looks < 3
            }) { () throws(StorageFault) -> String? in "at the same time" }
            return second ?? "alone"
        }
        #expect(first == "alone")
        #expect(looks == 3)
        #expect(try gather(1) == 1)
    }

    @Test func `Who fails makes room for the next`() throws {
        #expect(throws: StorageFault.self) {
            try room.turn(while: { true }) { () throws(StorageFault) -> Int? in
                throw StorageFault("the disk has no room")
            }
        }
        #expect(try gather(1) == 1)
    }
}
