import NIOCore
import PeerProtocol
import Wire

/// How nodes frame what they say on a TCP connection.
///
/// Who dials begins with a preamble; who accepts sends none. All integers are little-endian.
///
///     offset  size  preamble
///          0     8  F5 "RQLNOD" 01; its first byte begins neither HTTP, TLS nor any UTF-8 text
///          8     1  major version of the protocol
///          9     1  minor version
///         10     1  what the connection is for (`ConnectionPurpose`)
///         11     1  0
///         12     …  a frame `introduction`
///
///     offset  size  frame
///          0     4  length n of the payload, checked against the limit before it is awaited
///          4     1  kind
///          5     4  CRC-32C of length, kind and payload
///          9     n  payload
///
///     kind               sent by, on           payload
///      1 introduction    dialer, every         an `Introduction`
///      2 refusal         acceptor, every       u8 code (`RefusalCode`) | u8 major, u8 minor | text
///                                              | with code 5: the acceptor's `Introduction`;
///                                              then the connection closes
///      3 message         dialer, messages      a Raft message
///      4 request         dialer, calls         a `PeerRequest`
///      5 answer          acceptor, calls       a `PeerAnswer`
///      6 client request  dialer, forwarding    a `ClientRequest`, its ID unique on the connection
///      7 reply           acceptor, forwarding  a `Reply`; to dialers of 1.2 and later also in parts
///      8 offer           dialer, snapshot      a `SnapshotOffer`
///      9 accepted        acceptor, snapshot    u8 1: packed chunks are taken; nothing before 1.4
///     10 chunk           dialer, snapshot      u64 offset | bytes
///     11 end             dialer, snapshot      u64 byte count | u32 CRC-32C of the whole
///     12 installing      acceptor, snapshot    –; repeated: the receiver is still at work
///     13 installed       acceptor, snapshot    –
///     14 rejected        acceptor, snapshot    text
///     15 welcome         acceptor, messages    an `Introduction`, to dialers of 1.1 and later;
///                        and forwarding        to those of 1.4 and later: requests may come in parts
///     16 demand          dialer, forwarding    u64 ID of a request | u32 bytes: so much more of its
///                                              answer is wanted; the first `ResultWindow.bytes` are
///                                              without asking. Earlier versions ignore it
///     17 recall          dialer, forwarding    u64 ID of a request: nobody waits for the answer, of
///                                              which nothing more comes. Earlier versions ignore it
///     18 packed chunk    dialer, snapshot      u64 offset | u32 bytes of the chunk | these as a gzip
///                                              stream; to who said that it takes them
///     19 announcement    dialer, forwarding    u64 ID of a request | u32 bytes of what kind 6 would
///                                              carry, which comes in parts; to who said *welcome*
///     20 grant           acceptor, forwarding  u64 ID of an announced request | u32 bytes: so many
///                                              more of it may be sent; without it, none
///     21 request part    dialer, forwarding    u64 ID of an announced request | its next bytes
///
/// The preamble's first eleven bytes, the frame's header and `refusal` never change between
/// versions, so that any two nodes can tell each other why they can't talk.
struct Frame {
    enum Kind: UInt8 {
        case introduction = 1
        case refusal = 2
        case message = 3
        case request = 4
        case answer = 5
        case clientRequest = 6
        case reply = 7
        case offer = 8
        case accepted = 9
        case chunk = 10
        case end = 11
        case installing = 12
        case installed = 13
        case rejected = 14
        case welcome = 15
        case demand = 16
        case recall = 17
        case packedChunk = 18
        case announcement = 19
        case grant = 20
        case requestPart = 21
    }

    static let headerSize = 9
    static let magic: [UInt8] = [0xF5, 0x52, 0x51, 0x4C, 0x4E, 0x4F, 0x44, 0x01]
    /// Bytes of the preamble before its frame.
    static let preambleSize = 12

    /// The number of the kind; one of a later minor version is none of `Kind`.
    var rawKind: UInt8
    /// Where the payload stands in its batch.
    var payload: Range<Int>

    var kind: Kind? { Kind(rawValue: rawKind) }
}

/// What a dialer wants of a connection.
enum ConnectionPurpose: UInt8 {
    case messages = 1
    case calls = 2
    case forwarding = 3
    case snapshot = 4
}

/// Why an acceptor closes a connection.
enum RefusalCode: UInt8 {
    case version = 1
    case purpose = 2
    case tooManyConnections = 3
    case notReady = 4
    /// Another node was wanted; the refusal tells who is here.
    case otherNode = 5
    /// The node belongs to another cluster.
    case otherCluster = 6
    /// The node takes nothing from this dialer; the text says why.
    case unwanted = 7
}

/// Complete, verified frames that one read of a connection brought.
struct FrameBatch: Sendable {
    var bytes: [UInt8]
    var frames: [Frame]

    init(bytes: [UInt8], frames: [Frame]) {
        self.bytes = bytes
        self.frames = frames
    }

    /// One whole frame.
    init(large frame: ByteBuffer) {
        bytes = Array(frame.readableBytesView)
        frames = [Frame(rawKind: bytes[4], payload: Frame.headerSize..<bytes.count)]
    }

    func reader(of frame: Frame) -> ByteReader { ByteReader(bytes, in: frame.payload) }
}

extension ByteWriter {
    /// Appends a frame around what `body` writes.
    mutating func writeFrame(_ kind: Frame.Kind, _ body: (inout ByteWriter) -> Void = { _ in }) {
        let start = count
        write(UInt32(0))
        write(kind.rawValue)
        write(UInt32(0))
        body(&self)
        let end = count
        overwrite(UInt32(end - start - Frame.headerSize), at: start)
        let checksum = bytes.withUnsafeBytes {
            Frame.checksum(of: UnsafeRawBufferPointer(rebasing: $0[start..<end]))
        }
        overwrite(checksum, at: start + 5)
    }

    mutating func writePreamble(
        _ purpose: ConnectionPurpose, version: ProtocolVersion = .current
    ) {
        writeRaw(Frame.magic)
        write(version.major)
        write(version.minor)
        write(purpose.rawValue)
        write(UInt8(0))
    }
}

extension Frame {
    /// - Parameter frame: header and payload.
    static func checksum(of frame: UnsafeRawBufferPointer) -> UInt32 {
        var checksum = CRC32C()
        checksum.update(UnsafeRawBufferPointer(rebasing: frame[0..<5]))
        checksum.update(UnsafeRawBufferPointer(rebasing: frame[headerSize...]))
        return checksum.value
    }
}
