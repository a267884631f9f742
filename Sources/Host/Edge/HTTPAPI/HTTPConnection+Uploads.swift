import NIOCore
import Wire

/// Bodies that are taken in parts, while they come.
extension HTTPConnection {
    /// A part of a body that is taken while it comes.
    func keep(_ part: ByteBuffer) {
        guard let upload = incoming?.upload ?? beginUpload() else { return }
        upload.append(part)
        keepMore(of: upload)
    }

    /// Nil: there is no place for it, and that was said.
    private func beginUpload() -> BodyUpload? {
        let share = Share(of: edge.budgets.uploads, for: incoming?.request.account)
        if let shortage = share.grow(by: 1) {
            incoming = nil
            machine.refuse(.uploadsExhausted(shortage))
            return nil
        }
        let upload = BodyUpload(edge, holding: share)
        incoming?.upload = upload
        return upload
    }

    /// Has what has come of a body in parts taken, unless that is under way.
    private func keepMore(of upload: BodyUpload) {
        guard let context, let bytes = upload.begin() else { return }
        let here = NIOLoopBound((self, upload), eventLoop: context.eventLoop)
        let (loop, intake) = (context.eventLoop, upload.intake)
        edge.files.run {
            let fault = intake.add(Array(bytes.readableBytesView))
            loop.execute {
                let (connection, upload) = here.value
                connection.kept(bytes.readableBytes, of: upload, fault)
            }
        }
    }

    private func kept(_ count: Int, of upload: BodyUpload, _ fault: LoadContent?) {
        upload.end()
        guard isOpen, incoming?.upload === upload else { return }
        if let refusal = fault?.refusal, !machine.isCompleting {
            refuse(refusal)
        } else {
            // A body that has come is answered like any other; whoever took it remembers the fault.
            machine.bodyTaken(count, at: now)
            keepMore(of: upload)
            if let parts = held, !machine.isCompleting {
                held = nil
                queueIncoming()
                take(parts)
            }
            if let refusal = lateRefusal, !machine.isCompleting { refuse(refusal) }
        }
        perform()
        flush()
    }
}
