"""Sources, cutting and chat prompts: how texts become examples."""

import json

import pytest

from blockstitch_training.distill.chat_prompt import ChatPrompt, Document
from blockstitch_training.distill.checkpoint import load_tokenizer
from blockstitch_training.distill.example_sources import Cutting, QuestionSource, ShuffledSource, chat_examples, read_texts, text_examples
from blockstitch_training.distill.examples import packs
from blockstitch_training.distill.segmenting import cut_at, cut_at_blank_lines

CHATML = (
    "{% for m in messages %}{{ '<|user|>' if m['role'] == 'user' else '<|assistant|>' }}{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture
def tokenizer(teacher):
    return load_tokenizer(teacher)


def test_a_question_source_gives_the_same_example_for_the_same_number(tokenizer):
    source = QuestionSource(tokenizer, seed=3)
    assert source.example(11) == source.example(11)
    assert source.example(11) != source.example(12)
    example = source.example(11)
    for final in example.finals:
        assert final.tokens[-1] == tokenizer.eos_token_id
        assert final.trained[-1] and not final.trained[0]
        assert final.needs and max(final.needs) < len(example.blocks)


def test_ranks_share_the_examples_without_overlap_and_packs_keep_their_budget(tokenizer):
    source = QuestionSource(tokenizer, seed=3)
    seen = []
    for rank in range(2):
        stream = packs(source, 900, 0, rank, 2)
        for _ in range(3):
            taken, cursor = next(stream)
            assert len(taken) == 1 or sum(example.tokens for example in taken) <= 900
            seen.extend(taken)
        again, _ = next(packs(source, 900, cursor, rank, 2))
        assert again == next(stream)[0]
    assert len(set(seen)) == len(seen)


def test_a_finite_source_goes_round_in_other_orders():
    source = ShuffledSource(list("abcdefgh"), seed=1)
    rounds = ["".join(source.example(turn * 8 + at) for at in range(8)) for turn in range(3)]
    assert all(sorted(each) == list("abcdefgh") for each in rounds)
    assert len(set(rounds)) == 3
    assert source.example(9) == rounds[1][1]


def test_utf16_offsets_cut_texts_where_the_segmenter_meant():
    text = "a😀b|c"
    assert cut_at(text, [3, 4]) == ["a😀", "b", "|c"]


def test_blank_lines_cut_text_into_blocks_that_joined_are_the_text():
    text = "One.\n\n" + "Two words. " * 60 + "\n \n" + "Three words. " * 20
    blocks = cut_at_blank_lines(text)
    assert "".join(blocks) == text
    assert len(blocks) == 2


def test_documents_of_the_demo_template_are_blocks_of_their_own_in_any_order(tokenizer):
    prompt = ChatPrompt(tokenizer, [tokenizer.bos_token_id])
    one, two = Document(("Ada lives in Rome.",)), Document(("Bo was born ", "in 1900."))
    ask = [{"role": "user", "content": "Where?"}]
    forth, back = prompt.plan(ask, [one, two]), prompt.plan(ask, [two, one])
    assert [tokenizer.decode(block) for block in forth.blocks] == ["Ada lives in Rome.\n", "Bo was born ", "in 1900.\n"]
    assert forth.owners == [0, 1, 1]
    assert back.blocks == forth.blocks[1:] + forth.blocks[:1]
    assert tokenizer.decode(forth.final) == "<|user|>Where?<|assistant|>"


def test_a_template_that_knows_no_documents_gets_them_in_the_first_user_message(tokenizer):
    tokenizer.chat_template = CHATML
    documents = [Document(("Rome.",), "City"), Document(("Bern.",), "Town")]
    planned = ChatPrompt(tokenizer, []).plan([{"role": "user", "content": "Where?"}], documents)
    assert [tokenizer.decode(block) for block in planned.blocks] == ["<|user|>", "Title: City\nRome.\n\n", "Title: Town\nBern.\n\n"]
    assert planned.owners == [None, 0, 1]
    assert tokenizer.decode(planned.final) == "Where?\n<|assistant|>"


def test_control_tokens_that_a_document_spells_stay_text(tokenizer):
    planned = ChatPrompt(tokenizer, [0]).plan([{"role": "user", "content": "x<|eos|>"}], [Document(("say <|assistant|> now",))])
    specials = set(tokenizer.all_special_ids)
    assert not specials & set(planned.blocks[0])
    assert tokenizer.eos_token_id not in planned.final
    assert tokenizer.decode(planned.blocks[0]) == "say <|assistant|> now\n"


def test_chats_become_examples_whose_answer_is_trained(tokenizer, teacher, tmp_path):
    row = {"messages": [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "In Rome."}], "documents": ["Ada lives in Rome."]}
    file = tmp_path / "chats.jsonl"
    file.write_text(json.dumps(row) + "\n" + json.dumps({**row, "documents": ["word " * 500]}) + "\n")
    examples, left_out = chat_examples(file, tokenizer, [0], Cutting(teacher, "blank-lines"), longest=200)
    assert (len(examples), left_out) == (1, 1)
    (final,) = examples[0].finals
    trained = [token for token, wanted in zip(final.tokens, final.trained, strict=True) if wanted]
    assert tokenizer.decode(trained) == "In Rome.<|eos|>"
    file.write_text(json.dumps({"messages": [{"role": "user", "content": "x"}]}) + "\n")
    with pytest.raises(ValueError, match="chats.jsonl:1: the last message"):
        chat_examples(file, tokenizer, [0], Cutting(teacher, "blank-lines"), 200)


def test_gold_names_the_blocks_that_an_answer_needs(tokenizer, teacher, tmp_path):
    tokenizer.chat_template = CHATML
    file = tmp_path / "chats.jsonl"

    def row(gold):
        messages = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "In Rome."}]
        return json.dumps({"messages": messages, "documents": ["The lamp is bright.", {"blocks": ["Ada ", "lives ", "in Rome."]}], **gold}) + "\n"

    file.write_text(row({"gold": [1]}) + row({"gold": []}) + row({}))
    (example,), _ = chat_examples(file, tokenizer, [0], Cutting(teacher, "blank-lines"), longest=2000)
    assert (example.framing, len(example.blocks)) == ({0}, 5)
    assert [final.needs for final in example.finals] == [frozenset({2, 3, 4}), frozenset(), frozenset()]
    file.write_text(row({"gold": [2]}))
    with pytest.raises(ValueError, match=r"chats.jsonl:1: gold names documents \[2\] of 2"):
        chat_examples(file, tokenizer, [0], Cutting(teacher, "blank-lines"), longest=2000)


def test_chats_over_the_same_documents_share_them(tokenizer, teacher, tmp_path):
    file = tmp_path / "chats.jsonl"
    tokenizer.chat_template = CHATML

    def row(question, documents):
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": "In Rome."}]
        return json.dumps({"messages": messages, "documents": documents}) + "\n"

    kettle, lamp = ["The kettle whistles."], ["The lamp is bright."]
    file.write_text("".join(row(question, documents) for question, documents in [("Why?", kettle), ("Who?", kettle), ("When?", lamp), ("Why?", kettle)]))
    examples, _ = chat_examples(file, tokenizer, [0], Cutting(teacher, "blank-lines"), longest=200)
    assert [len(example.finals) for example in examples] == [2, 1, 1]
    alone, _ = chat_examples(file, tokenizer, [0], Cutting(teacher, "blank-lines"), longest=examples[0].tokens - 1)
    assert [len(example.finals) for example in alone] == [1, 1, 1, 1]


def test_text_becomes_runs_of_blocks_whose_last_one_is_final(tokenizer, teacher, tmp_path):
    file = tmp_path / "book.txt"
    file.write_text("\n\n".join(f"Paragraph {at}. " + "More words of it. " * 40 for at in range(8)))
    examples = text_examples([file], tokenizer, Cutting(teacher, "blank-lines"), longest=1000)
    assert len(examples) >= 2
    for example in examples:
        assert example.tokens <= 1000 and example.blocks
        assert all(example.finals[0].trained[1:])


def test_a_separator_inside_a_string_ends_no_row(tokenizer, teacher, tmp_path):
    text = "One.\u2028Two.\x85Three."
    row = {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "Yes."}], "documents": [text]}
    (tmp_path / "chat.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\r\n", encoding="utf-8")
    examples, _ = chat_examples(tmp_path / "chat.jsonl", tokenizer, [], Cutting(teacher, "blank-lines"), 4000)
    assert len(examples) == 1 and text in "".join(tokenizer.decode(block) for block in examples[0].blocks)
    (tmp_path / "text.jsonl").write_text(json.dumps({"text": text}, ensure_ascii=False) + "\n", encoding="utf-8")
    assert read_texts([tmp_path / "text.jsonl"]) == [text]
