"""State that survives a restart of LocalStack's open edition, for all services.

LocalStack has a protocol for saving state, and nothing that saves it. What is where:

    hooks         what LocalStack calls: open, restore, revive, save
    keeper        the parts put together
    settings      what the environment says
    folder        whose the state folder is, and which version's; `files` writes to it for good

    snapshots     all services but S3: saved while they change, given back at a start
    generations   whole states on the disk, the last two
    visitors      LocalStack's protocol for a service's containers
    pickling      their state as bytes; `log_streams`, `keys` for what is many or cannot be pickled
    changes, busy which services to save
    log_retention how many of CloudWatch Logs' events stay
    gate          requests: who waits for the restore, and what they changed
    revival, revivals   what a service needs beside its state

    s3_provider   LocalStack's S3, whose answers wait for the disk
    s3_log        its metadata and bodies together
    s3_records    metadata as records, and back; `s3_watch` hears of changes to LocalStack's models
    s3_storage    LocalStack's storage interface on `bodies`, files that are written once
    request_bodies  bodies on their way in: small ones in memory
    packs         small bodies, many to a file
    journal       records in segments, and checkpoints; `records` frames them
    redo          both on the disk after one sync; `writes` makes them once more after a crash
"""
