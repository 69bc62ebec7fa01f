"""A journal keeps every whole row, drops a row that was cut off, and goes on behind the others."""

from blockstitch_training.journal.journal import Journal, read_rows


def test_a_row_is_there_whole_or_not_at_all(tmp_path):
    file = tmp_path / "rows.jsonl"
    assert read_rows(file) == []
    with Journal(file) as journal:
        journal.add({"text": "Zoë\u2028 says\nhello"})
        assert read_rows(file) == [{"text": "Zoë\u2028 says\nhello"}]  # at once, not when it is closed
        journal.add({"number": 2})
    whole = file.read_bytes()
    for cut in range(1, len(b'{"number": 2}\n')):
        file.write_bytes(whole[:-cut])
        with Journal(file) as journal:
            journal.add({"number": 3})
        assert read_rows(file) == [{"text": "Zoë\u2028 says\nhello"}, {"number": 3}]
