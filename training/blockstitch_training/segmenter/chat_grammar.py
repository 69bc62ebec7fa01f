"""Small talk by grammar: dialogues whose turns are drawn topic by topic, so that every shift of the topic is known.

SemanticSeg's chats are parted only where one real thread ends and another begins. This grammar, written for this project, adds the
case in which people slide to another topic in the middle of a turn. It knows no features and no networks.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

SLOTS: dict[str, tuple[str, ...]] = {
    "pet": ("dog", "cat", "parrot", "hamster", "rabbit", "lizard", "horse", "turtle", "goldfish", "ferret", "snake"),
    "name": ("max", "luna", "bella", "charlie", "rocky", "daisy", "milo", "oscar", "coco", "ziggy"),
    "food": ("pizza", "sushi", "tacos", "pasta", "curry", "burgers", "ramen", "steak", "salad", "fried chicken", "dumplings", "seafood", "barbecue"),
    "sweet": ("ice cream", "chocolate", "cheesecake", "brownies", "donuts", "apple pie", "cookies"),
    "drink": ("coffee", "green tea", "beer", "red wine", "lemonade", "orange juice", "whiskey"),
    "job": ("teacher", "nurse", "plumber", "lawyer", "chef", "mechanic", "accountant", "software developer", "police officer", "farmer", "librarian", "bartender", "truck driver", "cashier", "firefighter", "dentist", "writer"),
    "place": ("bank", "hospital", "grocery store", "school", "bakery", "factory", "law firm", "restaurant", "call center", "warehouse"),
    "city": ("chicago", "new york", "paris", "london", "texas", "florida", "seattle", "tokyo", "canada", "ohio", "spain", "germany", "california", "boston"),
    "trip": ("italy", "japan", "hawaii", "the mountains", "the beach", "mexico", "iceland", "disney world", "greece", "the grand canyon"),
    "sport": ("soccer", "basketball", "tennis", "baseball", "hockey", "golf", "volleyball", "football"),
    "exercise": ("run", "lift weights", "swim", "do yoga", "hike", "ride my bike", "go to the gym", "box"),
    "music": ("country", "jazz", "rock", "hip hop", "classical", "metal", "pop", "blues", "reggae"),
    "instrument": ("guitar", "piano", "drums", "violin", "flute", "trumpet", "cello", "banjo"),
    "artist": ("the beatles", "beyonce", "metallica", "adele", "johnny cash", "drake", "queen", "elvis"),
    "movie": ("star wars", "the matrix", "titanic", "jurassic park", "the lion king", "harry potter", "jaws", "the godfather"),
    "show": ("friends", "the office", "game of thrones", "breaking bad", "stranger things", "the simpsons", "cooking shows"),
    "book": ("science fiction", "mysteries", "fantasy novels", "history books", "romance novels", "comic books", "poetry", "stephen king"),
    "game": ("minecraft", "chess", "zelda", "call of duty", "mario kart", "card games", "board games", "the sims"),
    "color": ("blue", "purple", "green", "pink", "red", "orange", "yellow", "black"),
    "season": ("summer", "winter", "fall", "spring"),
    "car": ("truck", "honda", "mustang", "old jeep", "motorcycle", "tesla", "minivan", "bmw"),
    "relative": ("brother", "sister", "mother", "father", "grandmother", "uncle", "cousin", "husband", "wife", "son", "daughter"),
    "craft": ("knitting", "painting", "woodworking", "pottery", "sewing", "photography", "gardening", "scrapbooking", "baking"),
    "study": ("biology", "law", "engineering", "nursing", "history", "business", "art", "psychology", "computer science", "math"),
    "number": ("two", "three", "four", "five", "six", "ten"),
    "age": ("twenty", "thirty two", "forty", "nineteen", "fifty", "sixty five"),
    "fear": ("spiders", "heights", "clowns", "the dark", "flying", "snakes", "public speaking"),
    "illness": ("a cold", "a headache", "allergies", "the flu", "a broken arm", "back pain", "diabetes"),
}

#: topic: (ways to open it, ways to go on). Anything of the second list may follow a question.
TOPICS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "pets": (
        ("do you have any pets ?", "i have a {pet} named {name} .", "are you a dog or a cat person ?", "i just adopted a {pet} !", "i am on my way to walk my {pet} .", "do you like animals ?"),
        ("i have {number} of them .", "what is his name ?", "her name is {name} .", "i am allergic to animals .", "they are so cute , what breed ?", "my {pet} sleeps all day long .", "i used to have a {pet} when i was a kid .", "he loves to chase squirrels .", "no pets , my landlord does not allow it .", "do you feed it in the morning ?", "my {pet} barks at the mailman ."),
    ),
    "food": (
        ("what is your favorite food ?", "i love {food} , do you ?", "i am eating {food} right now .", "do you like to cook ?", "what did you have for dinner ?", "i am so hungry , i could eat {number} plates of {food} .", "do you like {food} ?"),
        ("i could eat {food} every day .", "i make it with lots of cheese .", "i am a vegetarian so no meat for me .", "my favorite is {food} .", "i prefer {food} .", "what toppings do you like ?", "spicy or mild ?", "i burn everything i cook .", "my {relative} makes the best {food} .", "i like {sweet} for dessert .", "there is a great restaurant down the street ."),
    ),
    "sweets": (
        ("do you have a sweet tooth ?", "i can not stop eating {sweet} .", "i baked {sweet} this morning ."),
        ("what flavor ?", "vanilla is the best .", "too much sugar makes me sick .", "i like {sweet} more .", "with whipped cream on top .", "save some for me !"),
    ),
    "drinks": (
        ("do you drink {drink} ?", "i need some {drink} to wake up .", "i only drink water and {drink} .", "want to go out for {drink} some time ?"),
        ("i drink {number} cups a day .", "with milk and sugar .", "i do not drink alcohol .", "i prefer tea .", "it keeps me awake at night .", "i like it black ."),
    ),
    "work": (
        ("what do you do for a living ?", "i work as a {job} .", "i work at a {place} , what about you ?", "do you like your job ?", "what kind of work do you do ?", "i just got home from work .", "i just got fired from my job at the {place} ."),
        ("i am a {job} .", "the hours are long but it pays the bills .", "my boss is mean .", "i am retired now .", "i am looking for a new job .", "how long have you been doing that ?", "i have been there for {number} years .", "i work from home .", "do you get paid well ?", "i have {number} coworkers and they are nice .", "it sounds stressful .", "i want a promotion ."),
    ),
    "school": (
        ("are you in school ?", "i am studying {study} in college .", "what did you study ?", "i am a student at the university .", "i have a big exam tomorrow ."),
        ("i am majoring in {study} .", "i graduate next year .", "homework takes all my time .", "my teachers are strict .", "i dropped out of college .", "what grade are you in ?", "i want to get good grades .", "i have to write an essay .", "the professor is boring ."),
    ),
    "home": (
        ("where are you from ?", "i live in {city} .", "where do you live ?", "i just moved to {city} .", "i am originally from {city} ."),
        ("it is cold there in the winter .", "how is the weather over there ?", "i grew up on a farm .", "i live in a small town .", "i like the city life .", "it is a big city with lots of traffic .", "i never been there .", "the rent is too high .", "i live in an apartment downtown .", "i miss {city} ."),
    ),
    "travel": (
        ("do you like to travel ?", "i am going to {trip} next month .", "have you ever been to {trip} ?", "where would you go on vacation ?", "i just came back from {trip} ."),
        ("i have always wanted to see {trip} .", "the flight was long .", "i went there with my {relative} .", "how long are you staying ?", "a week .", "i hate airports .", "pack your sunscreen .", "the museums were amazing .", "i have never left the country .", "take lots of pictures ."),
    ),
    "sports": (
        ("do you play any sports ?", "i love watching {sport} .", "did you see the {sport} game last night ?", "what is your favorite team ?", "i play {sport} on weekends ."),
        ("i used to play {sport} in high school .", "my team lost again .", "what position do you play ?", "i am not very athletic .", "we won the championship .", "the referee was terrible .", "i coach kids {sport} .", "i hurt my knee playing ."),
    ),
    "fitness": (
        ("do you work out ?", "i {exercise} every morning .", "i am training for a marathon .", "how do you stay in shape ?", "i need to lose some weight ."),
        ("i {exercise} {number} times a week .", "i should exercise more .", "i am too lazy for that .", "how many miles ?", "about {number} miles .", "it keeps me healthy .", "my muscles are so sore .", "i am on a diet ."),
    ),
    "music": (
        ("what kind of music do you like ?", "i play the {instrument} in a band .", "do you play an instrument ?", "i love {artist} .", "i went to a concert last night .", "i am listening to {music} right now ."),
        ("i like {music} .", "my favorite band is {artist} .", "i sing in the choir .", "i have all their albums .", "i can not sing at all .", "how long have you been playing the {instrument} ?", "their songs are so catchy .", "i have tickets for the concert .", "i prefer {music} music ."),
    ),
    "movies": (
        ("have you seen any good movies lately ?", "i am watching {movie} .", "what is your favorite movie ?", "do you like scary movies ?", "i love {movie} ."),
        ("i have seen it {number} times .", "i like comedies .", "the ending was so sad .", "the actor is great in it .", "i fell asleep in the theater .", "horror films give me nightmares .", "i prefer {movie} .", "the sequel was bad .", "i always get popcorn ."),
    ),
    "television": (
        ("what do you watch on tv ?", "i am watching {show} .", "do you watch {show} ?", "i do not own a television ."),
        ("i watched the whole season in a day .", "no spoilers please .", "that show is hilarious .", "i only watch the news .", "i like {show} better .", "what channel is it on ?", "i stream everything ."),
    ),
    "reading": (
        ("do you like to read ?", "i am reading a good book .", "what is your favorite book ?", "i love {book} .", "i spend all day at the library ."),
        ("i read {book} .", "who is the author ?", "i read before bed every night .", "i have no patience for books .", "i am writing a novel .", "i have read it {number} times .", "i prefer the movie ."),
    ),
    "games": (
        ("do you play video games ?", "i have been playing {game} all day .", "want to play {game} ?", "what games do you like ?"),
        ("i am really good at {game} .", "my {relative} always beats me .", "i stay up all night playing .", "on the computer or the console ?", "i prefer {game} .", "i never win .", "what level are you ?"),
    ),
    "hobbies": (
        ("what are your hobbies ?", "what do you do for fun ?", "i enjoy {craft} .", "do you have any hobbies ?", "i spend my free time on {craft} .", "what do you like to do in your spare time ?"),
        ("i like {craft} and long walks .", "i sell them online .", "it is very relaxing .", "i took a class once .", "how did you get into that ?", "my {relative} taught me {craft} .", "i collect stamps .", "i collect old coins .", "it is an expensive hobby .", "i would love to learn ."),
    ),
    "family": (
        ("do you have any kids ?", "are you married ?", "i have {number} children .", "do you have brothers or sisters ?", "i am having dinner with my family .", "my {relative} is coming to visit .", "my {relative} passed away last year ."),
        ("i have {number} kids .", "i am single .", "we have been married for {number} years .", "i am an only child .", "my {relative} is my best friend .", "we are very close .", "they grow up so fast .", "how old are they ?", "i never want kids .", "i am divorced .", "my {relative} lives with me .", "twins , can you imagine ?"),
    ),
    "colors": (
        ("what is your favorite color ?", "my favorite color is {color} .", "i dyed my hair {color} ."),
        ("mine is {color} .", "i like {color} and {color} .", "i painted my room {color} .", "{color} looks good on everyone .", "all my clothes are {color} ."),
    ),
    "seasons": (
        ("what is your favorite season ?", "i love {season} .", "is it cold where you are ?", "the weather is awful today .", "it has been raining all day ."),
        ("i like {season} because of the leaves .", "i hate the snow .", "it is so hot outside .", "i like to go sledding .", "the sun is shining here .", "it is raining cats and dogs .", "i love the smell of rain .", "i need an umbrella ."),
    ),
    "cars": (
        ("what kind of car do you drive ?", "i just bought a {car} .", "do you have a car ?", "my {car} broke down ."),
        ("i drive a {car} .", "i take the bus .", "gas is so expensive .", "is it fast ?", "i want a {car} .", "the mechanic charged me a fortune .", "i do not have a license .", "i love road trips ."),
    ),
    "age": (
        ("how old are you ?", "i am turning {age} next week .", "i feel so old ."),
        ("i am {age} .", "happy birthday !", "age is just a number .", "you are still young .", "i am {age} years old .", "are you having a party ?"),
    ),
    "fears": (
        ("what are you afraid of ?", "i am scared of {fear} .", "i saw the biggest spider today ."),
        ("i hate {fear} .", "i screamed so loud .", "i am not scared of anything .", "{fear} do not bother me .", "i had a nightmare about {fear} ."),
    ),
    "health": (
        ("i have {illness} .", "i am not feeling well today .", "i went to the doctor yesterday .", "do you smoke ?"),
        ("get some rest .", "did you see a doctor ?", "i take vitamins every day .", "i hope you feel better soon .", "the medicine makes me sleepy .", "i quit {number} years ago .", "i hate hospitals ."),
    ),
    "plans": (
        ("what are your plans for the weekend ?", "what are you doing today ?", "i am going shopping later .", "any plans for tonight ?", "i am going to a party tonight ."),
        ("i am staying home .", "i will be cleaning the house .", "i need new shoes .", "who is going with you ?", "just my friends .", "i plan to sleep in .", "what are you going to wear ?", "sounds like a fun time ."),
    ),
    "dreams": (
        ("what is your dream ?", "i want to be a {job} when i grow up .", "if you won the lottery what would you do ?", "i want to be famous one day ."),
        ("i would buy a house for my {relative} .", "i would travel to {trip} .", "i would quit my job .", "follow your dreams .", "money is not everything .", "i hope it comes true .", "that takes a lot of practice ."),
    ),
    "faith": (
        ("do you go to church ?", "i volunteer at the shelter .", "do you do any volunteer work ?", "are you into politics ?"),
        ("every sunday .", "i am not religious .", "i donate to charity .", "i help feed the homeless .", "it feels good to give back .", "i try to stay out of it .", "i voted last year ."),
    ),
    "technology": (
        ("what phone do you have ?", "my computer is so slow .", "do you use social media ?", "i post videos online ."),
        ("i am always on my phone .", "i deleted my account .", "how many followers do you have ?", "did you try to restart it ?", "i need a new laptop .", "technology is moving so fast .", "my wifi is down ."),
    ),
    "clothes": (
        ("where do you buy your clothes ?", "i bought a new dress .", "i love shoes .", "do you like shopping ?"),
        ("i have {number} pairs .", "i shop at thrift stores .", "my closet is full .", "i hate the mall .", "what size do you wear ?", "i make my own clothes .", "it was on sale ."),
    ),
    "garden": (
        ("do you have a garden ?", "i grow my own vegetables .", "i planted roses today .", "i live on a farm ."),
        ("we grow tomatoes and corn .", "i have {number} chickens .", "the cows wake me up early .", "i kill every plant i touch .", "my {relative} has a green thumb .", "flowers make me happy .", "the soil is too dry ."),
    ),
}  # fmt: skip

GREETINGS = (
    "hi , how are you today ?", "hello ! how are you ?", "hey there , how is it going ?", "hi !", "hello there .", "good morning , how are you ?", "hey , what's up ?",
    "hi , i am {name} , nice to meet you .", "hello , tell me about yourself .", "good evening ! how was your day ?", "hi there , my name is {name} .", "how are you doing this evening ?",
)  # fmt: skip
GREETING_ANSWERS = (
    "i am good , how are you ?", "i am doing well , and you ?", "great , thanks for asking .", "hi {name} , nice to meet you too .", "a little tired , it was a long day .", "pretty good , just relaxing .",
    "not bad , you ?", "i am fine , just got off work .", "hello , i am doing great .", "tired . i stayed up late .",
)  # fmt: skip
REACTIONS = (
    "that is cool .", "nice !", "wow !", "oh okay .", "awesome .", "that sounds fun .", "that is great .", "lol", "haha .", "i see .", "that is too bad .", "i am sorry to hear that .", "oh wow , that is interesting .", "sounds good .",
    "i understand .", "very nice .", "that is awesome !", "oh no !", "me too !", "i agree .", "good for you .", "that must be nice .", "yes .", "no , not really .", "sure .", "really ?", "true .", "i do too .", "neat .", "i bet .",
)  # fmt: skip
RETURNS = ("what about you ?", "how about you ?", "you ?", "and you ?", "do you ?")
TURNS_AWAY = ("so ,", "by the way ,", "anyway ,", "oh ,", "well ,", "", "", "", "", "", "", "")
LEVEL_TOPIC, LEVEL_DIALOGUE = 1, 3


@dataclass
class Chat:
    """segments: topics, each a run of lines joined by line breaks. levels: of the boundaries between them."""

    segments: list[str]
    levels: list[int]


def draw_chat(rng: random.Random, dialogues: int) -> Chat:
    """Several dialogues one after another, in one way of writing."""
    style = rng.choice(("spaced", "spaced", "plain", "cased"))
    labels = rng.choice((None, None, ("A", "B"), ("User", "Bot"), tuple(name.title() for name in rng.sample(SLOTS["name"], 2))))
    length = rng.choice((2.0, 3.0, 4.0, 6.0))
    segments: list[str] = []
    levels: list[int] = []
    for number in range(dialogues):
        turn = 0
        for index, lines in enumerate(_dialogue(rng, length)):
            if segments:
                levels.append(LEVEL_DIALOGUE if index == 0 else LEVEL_TOPIC)
            written = []
            for line in lines:
                text = _styled(line, style)
                written.append(f"{labels[turn % 2]}: {text}" if labels else text)
                turn += 1
            segments.append("\n".join(written))
    return Chat(segments, levels)


def _dialogue(rng: random.Random, length: float) -> list[list[str]]:
    topics = rng.sample(list(TOPICS), rng.randint(2, 6))
    segments: list[list[str]] = []
    if rng.random() < 0.75:
        names = {"name": rng.choice(SLOTS["name"])}
        opening = [_fill(rng, rng.choice(GREETINGS), names)]
        for _ in range(rng.choice((0, 1, 1, 2))):
            opening.append(_fill(rng, rng.choice(GREETING_ANSWERS), {}))
        segments.append(opening)
    previous: tuple[str, dict[str, str]] | None = None
    for topic in topics:
        openers, others = TOPICS[topic]
        fills: dict[str, str] = {}
        first = _fill(rng, rng.choice(openers), fills)
        if segments:
            first = _lead(rng, previous) + f" {rng.choice(TURNS_AWAY)} {first}"
        lines = [first]
        used: set[str] = set()
        count = min(12, max(1, round(rng.expovariate(1 / length) + 0.5)))
        for _ in range(count - 1):
            choice = rng.choice(others)
            while choice in used and len(used) < len(others):
                choice = rng.choice(others)
            used.add(choice)
            line = _fill(rng, choice, fills)
            if rng.random() < 0.45:
                line = f"{rng.choice(REACTIONS)} {line}"
            if rng.random() < 0.25:
                second = _fill(rng, rng.choice(others), fills)
                line = f"{line} {second}"
            if rng.random() < 0.2:
                line = f"{line} {rng.choice(RETURNS)}"
            if rng.random() < 0.08:
                line = rng.choice(REACTIONS)
            lines.append(line)
        segments.append(lines)
        previous = (topic, fills)
    return segments


def _lead(rng: random.Random, previous: tuple[str, dict[str, str]] | None) -> str:
    """The turn's words about the old topic before it opens the new one: none, a reaction, or an answer."""
    draw = rng.random()
    if draw < 0.35:
        return ""
    if draw < 0.75 or previous is None:
        return rng.choice(REACTIONS)
    topic, fills = previous
    statements = [line for line in TOPICS[topic][1] if "?" not in line]
    return _fill(rng, rng.choice(statements), fills)


def _fill(rng: random.Random, line: str, fills: dict[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        slot = match[1]
        if slot not in fills or rng.random() < 0.3:
            fills[slot] = rng.choice(SLOTS[slot])
        return fills[slot]

    return re.sub(r"\{(\w+)\}", value, line)


def _styled(line: str, style: str) -> str:
    text = " ".join(line.split())
    if style == "spaced":
        return text
    text = re.sub(r" ([.,?!])", r"\1", text)
    if style == "cased":
        text = re.sub(r"(^|[.?!] )([a-z])", lambda match: match[1] + match[2].upper(), text)
        text = re.sub(r"\bi\b", "I", text)
    return text
