"""Topics of small talk between strangers: things to name ({x}), questions, statements and replies. Plain data for invented_talk.py."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TalkTopic:
    """ask and tell open or carry the topic, reply answers. Each may hold {x} (a thing of this topic) and {y} (another thing)."""

    things: tuple[str, ...]
    ask: tuple[str, ...]
    tell: tuple[str, ...]
    reply: tuple[str, ...]


def _topic(things: str, ask: str, tell: str, reply: str) -> TalkTopic:
    split = [tuple(each.strip() for each in part.split("|")) for part in (things, ask, tell, reply)]
    return TalkTopic(*split)


TOPICS = (
    _topic(
        "dog|cat|parrot|hamster|rabbit|goldfish|horse|turtle|puppy|kitten|lizard|poodle|beagle|ferret",
        "do you have any pets?|do you like animals?|are you a dog or a cat person?|have you ever owned a {x}?|what is your {x} called?",
        "i have a {x} and a {y}|my {x} sleeps on my bed every night|i rescued a {x} from the shelter last year|i am allergic to my {x} but i keep it anyway"
        "|my {x} just chewed up the couch|i volunteer at an animal shelter on weekends",
        "aw, how old is the {x}?|a {x} would be too much work for me|my {x} hates the vet|i would love a {x} but my landlord says no pets|he is a mix, we think part {y}"
        "|she chases every {y} on the street|i walk him twice a day|i had a {y} when i was little",
    ),
    _topic(
        "nurse|teacher|lawyer|mechanic|waiter|plumber|accountant|programmer|truck driver|librarian|chef|electrician|farmer|cashier|dentist|realtor|baker|police officer",
        "what do you do for a living?|what kind of work do you do?|how do you pay the bills?|do you like your job?|where do you work?|what did you want to be as a kid?",
        "i work as a {x}|i just started a new job as a {x}|i quit my job as a {x} last month|i am a {x} but i dream of being a {y}|my boss gave me a raise today"
        "|i work the night shift and it is killing me",
        "the pay is good but the hours are long|how long have you been a {x}?|my uncle was a {x} too|i could never be a {x}, too much stress|my coworkers are great at least"
        "|i used to be a {y} before that|do you have to wear a uniform?|the customers can be so rude",
    ),
    _topic(
        "pizza|sushi|tacos|pasta|curry|steak|burgers|salad|ramen|pancakes|cheesecake|barbecue|dumplings|ice cream|chocolate|lasagna",
        "what is your favorite food?|do you like to cook?|are you hungry too?|what did you have for dinner?|have you tried {x}?|do you eat {x}?",
        "i love {x}, i could eat it every day|i am making {x} tonight|i am a vegetarian so no {x} for me|my grandmother makes the best {x}|i just ate a whole plate of {x}"
        "|i burn everything i cook",
        "with extra cheese please|i prefer {y} over {x}|{x} gives me a stomach ache|there is a great place for {x} near my house|do you put hot sauce on it?|now i am hungry"
        "|i only cook when i have guests|the secret is in the sauce",
    ),
    _topic(
        "country|rock|jazz|hip hop|metal|classical|pop|reggae|punk|blues|techno|folk",
        "what kind of music do you like?|do you play an instrument?|who is your favorite band?|have you been to any concerts lately?|do you listen to {x}?",
        "i listen to {x} all day|i play the guitar in a {x} band|i am learning the piano|i sing in the shower, mostly {x}|i saw a great {x} concert last week|i used to dj at {x} clubs",
        "i can not stand {x}|the drummer is my cousin|{x} reminds me of my dad|i like the lyrics more than the beat|do you write your own songs?|i prefer {y}, it is louder"
        "|i have all their albums on vinyl|my neighbors complain when i practice",
    ),
    _topic(
        "hiking|painting|knitting|fishing|gardening|photography|woodworking|chess|video games|dancing|yoga|camping|surfing|baking|pottery|bird watching|sewing",
        "what do you do for fun?|do you have any hobbies?|what do you like to do in your free time?|have you ever tried {x}?|what are you doing this weekend?",
        "i like {x} in my free time|i spend every weekend {x}|my hobbies are {x} and {y}|i took up {x} last summer|when i am not working i am {x}",
        "{x} sounds relaxing|i tried {x} once and i was terrible|who taught you {x}?|i am too busy for {x}|is {x} expensive to get into?|i do it with my best friend"
        "|i find {y} more exciting|it helps me clear my head",
    ),
    _topic(
        "two brothers|three sisters|a twin|a big family|two kids|a son|a daughter|four children|a baby|five nephews",
        "do you have any siblings?|do you have kids?|are you married?|do you come from a big family?|are you close to your parents?",
        "i have {x}|i live with my parents and {x}|my wife and i have {x}|i grew up with {x}|my mother raised me alone|i just got engaged|my husband and i are getting a divorce",
        "how old are they?|i am an only child|that must be a full house|they keep me busy|my parents live far away|family is everything to me|we see each other on holidays"
        "|they drive me crazy but i love them",
    ),
    _topic(
        "texas|florida|new york|california|london|ohio|canada|chicago|alaska|seattle|paris|boston|oregon|australia|a small town|the mountains|the city",
        "where are you from?|where do you live?|have you ever been to {x}?|do you like where you live?|did you grow up there?",
        "i live in {x}|i am originally from {x}|i just moved to {x}|i grew up in {x} but i live in {y} now|i want to move away from {x}",
        "how is the weather there?|i have family in {x}|is it expensive to live in {x}?|i have always wanted to visit {x}|it is too crowded for me|i like the quiet here"
        "|the winters in {y} are worse|people are friendly there",
    ),
    _topic(
        "italy|japan|mexico|greece|hawaii|spain|iceland|thailand|egypt|peru|ireland|new zealand|brazil|india",
        "do you like to travel?|where would you go if you could go anywhere?|have you been to {x}?|are you going anywhere this summer?|what is the best trip you ever took?",
        "i just got back from {x}|i am planning a trip to {x}|i have never left the country|i went to {x} on my honeymoon|i am afraid of flying|i backpacked through {x} and {y}",
        "how long was the flight?|the beaches in {x} are beautiful|did you speak the language?|i would rather see {y}|i lost my passport there once|the food was amazing"
        "|i went with my sister|i am saving up for it",
    ),
    _topic(
        "football|basketball|soccer|tennis|baseball|hockey|golf|swimming|volleyball|running|boxing|gymnastics|rugby",
        "do you play any sports?|did you watch the game last night?|what is your favorite team?|do you like {x}?|do you work out?",
        "i play {x} on tuesdays|i coach a kids {x} team|i was on the {x} team in college|i hurt my knee playing {x}|i run five miles every morning|i never miss a {x} game",
        "who won?|i prefer {y}|i am not very athletic|what position do you play?|my team lost again|i watch but i do not play|you must be in great shape|practice is at six",
    ),
    _topic(
        "horror|comedy|science fiction|action|romance|documentary|superhero|musical|war|animated|western|mystery",
        "have you seen any good movies lately?|what is your favorite movie?|do you like {x} movies?|do you watch a lot of tv?|what are you watching?",
        "i watched a {x} movie last night|i love {x} movies|i fell asleep during that {x} film|i am binge watching a {x} series|i go to the cinema every friday",
        "who is in it?|{x} movies scare me|the ending was so sad|i like {y} better|i read the book first|no spoilers please|i cried at the end|it is on netflix i think",
    ),
    _topic(
        "fantasy|history|poetry|crime novels|biographies|comics|science fiction|cookbooks|romance|philosophy",
        "do you like to read?|what are you reading?|who is your favorite author?|have you read any good books?|do you read {x}?",
        "i am reading a lot of {x}|i love {x} books|i am writing a book of {x}|i go to the library every week|i have not read a book since school",
        "i prefer {y}|what is it about?|i only listen to audiobooks|i have that one on my shelf|the movie was not as good|how many pages?|i read before bed|my book club picked that one",
    ),
    _topic(
        "biology|history|math|engineering|art|law|nursing|business|psychology|chemistry|music|english",
        "are you in school?|what are you studying?|what is your major?|did you go to college?|what was your favorite subject?",
        "i am studying {x}|i am a student, my major is {x}|i dropped out of school|i graduate in may with a degree in {x}|i have a big {x} exam tomorrow|i hated {x} in high school",
        "what year are you in?|{x} was so hard for me|good luck on the exam|i changed from {y} to {x}|student loans are killing me|what do you want to do with it?"
        "|my professor is very strict|i study at night",
    ),
    _topic(
        "winter|summer|spring|fall|rain|snow|the heat|thunderstorms|the sun",
        "how is the weather there?|what is your favorite season?|do you like {x}?|is it cold where you are?|has it been raining?",
        "it has been raining all week|i love {x}|it is freezing here today|we got ten inches of snow|i can not wait for {x}|it is so hot i can not sleep",
        "i would rather have {y}|i stay inside all day|{x} makes me happy|i need to buy a warm coat|it is sunny here|the roads are terrible|my garden needs the rain|perfect for hot cocoa",
    ),
    _topic(
        "honda|truck|motorcycle|jeep|bicycle|minivan|convertible|ford|scooter|old camaro|bus",
        "what kind of car do you drive?|do you drive?|do you like cars?|have you ever ridden a {x}?",
        "i drive a {x}|my {x} broke down again|i restore old cars, right now a {x}|i just bought a new {x}|i take the {x} to work|i got a speeding ticket in my {x}",
        "what color is it?|how many miles does it have?|a {x} is too dangerous for me|i had a {y} once|gas is so expensive now|i do not have a license|the insurance costs more than the {x}",
    ),
    _topic(
        "a diet|the gym|no sugar|my back|a cold|migraines|allergies|a broken arm|my knees|high blood pressure|yoga|insomnia",
        "how are you feeling?|do you stay healthy?|do you go to the gym?|have you ever broken a bone?",
        "i have been dealing with {x}|i am trying to lose weight|i had surgery last month|the doctor told me to watch {x}|i feel so much better since i stopped smoking|i drink too much coffee",
        "did you see a doctor?|i hope you feel better|my mother has the same with {x}|drink more water|it takes time|i eat a lot of vegetables|i should exercise more|how much weight did you lose?",
    ),
    _topic(
        "purple|blue|green|black|pink|red|orange|yellow|turquoise",
        "what is your favorite color?|do you like {x}?|what color is your hair?|do you dye your hair?",
        "my favorite color is {x}|i dyed my hair {x}|i painted my room {x}|everything i own is {x}|i wear {x} every day",
        "{x} looks good on everyone|i prefer {y}|i have brown hair|i would never dare to wear {x}|my car is {x} too|it matches my eyes",
    ),
    _topic(
        "designer shoes|watches|handbags|antiques|stamps|comic books|coins|hats|records|sneakers|dolls|baseball cards",
        "do you collect anything?|do you like shopping?|what do you spend your money on?",
        "i collect {x}|i spend too much money on {x}|i found some {x} at a flea market|my closet is full of {x}|i sell {x} online",
        "how many do you have?|are they worth anything?|my dad collects {y}|i hate shopping|where do you keep them all?|some of the {x} are very old|that sounds expensive",
    ),
    _topic(
        "church|a choir|a charity|the soup kitchen|bible study|the red cross|a book club|a youth group",
        "are you religious?|do you volunteer?|do you go to church?",
        "i go to {x} every sunday|i volunteer with {x}|i grew up with {x}|my father is a pastor|i donate to {x}",
        "that is very kind of you|i am not religious|how did you get into {x}?|it is good to help people|they always need help|my grandmother took me there|what do you do there?",
    ),
    _topic(
        "the army|the navy|the air force|the marines|the coast guard",
        "were you in the military?|did you serve?",
        "i was in {x} for ten years|my brother is in {x}|i am a veteran|i want to join {x}|i was stationed overseas with {x}",
        "thank you for your service|where were you stationed?|my dad was in {y}|that must have been hard|do you miss it?|i met my wife there|the food was awful",
    ),
    _topic(
        "spiders|heights|the dark|clowns|flying|snakes|ghosts|needles|deep water|public speaking",
        "what are you afraid of?|do you believe in ghosts?|are you scared of {x}?",
        "i am terrified of {x}|i saw a ghost once|i have nightmares about {x}|i got over my fear of {x}",
        "{x} do not bother me|why {x}?|i am more scared of {y}|something happened when i was a kid|i would scream|my heart races just thinking about it|have you tried therapy?",
    ),
    _topic(
        "roses|tomatoes|herbs|sunflowers|apple trees|cucumbers|tulips|peppers",
        "do you have a garden?|do you grow your own food?|are you good with plants?",
        "i grow {x} in my backyard|my {x} are finally blooming|i have a small farm with {x}|i kill every plant i touch|the rabbits ate my {x}",
        "do you use fertilizer?|{x} need a lot of sun|i only have a balcony|i have {y} too|i give the extra ones to my neighbors|how often do you water them?|mine died last year",
    ),
    _topic(
        "iphone|laptop|computer|playstation|tablet|robot|drone|smart watch|old game boy",
        "do you like technology?|do you play video games?|what phone do you have?|are you on social media?",
        "i spend hours on my {x}|i built my own {x}|i just dropped my {x} in the sink|i play online games every night|i deleted all my social media",
        "what games do you play?|i am not good with computers|my {x} is too slow|i want a new {y}|my kids are always on theirs|how much did it cost?|i work with computers all day",
    ),
    _topic(
        "christmas|halloween|thanksgiving|my birthday|easter|new year|the fourth of july|valentines day",
        "do you have plans for {x}?|what is your favorite holiday?|when is your birthday?|how was your {x}?",
        "i love {x}|we are having the whole family over for {x}|i turn thirty on {x}|i already bought presents for {x}|i dressed up as a pirate for {x}",
        "happy early birthday|i always work on {x}|what did you get?|i like {y} more|who cooks?|we do a big dinner|i am too old for that|the kids love it",
    ),
    _topic(
        "coffee|tea|beer|wine|lemonade|whiskey|soda|smoothies|orange juice",
        "do you drink {x}?|coffee or tea?|do you go out to bars?|what is your favorite drink?",
        "i can not start the day without {x}|i brew my own {x}|i stopped drinking {x}|i spilled {x} all over my desk|i am a bartender and i hate {x}",
        "with milk or without?|i like {y} better|too much {x} keeps me up|do you drink it every day?|i only drink water|my doctor said no more {x}|cheers to that",
    ),
    _topic(
        "apartment|farm house|trailer|condo|cabin|studio|mansion|basement|beach house|boat",
        "do you own or rent?|do you live alone?|do you have roommates?|what is your place like?",
        "i just bought a {x}|i live in a {x} with two roommates|my {x} flooded last week|i am moving into a {x} next month|i want to live in a {x} by the sea",
        "how many bedrooms?|is the rent high?|i have a {y}|my neighbors are so loud|the kitchen needs work|i need a bigger place|i love having my own space|who helps you move?",
    ),
    _topic(
        "single|dating someone|divorced|engaged|in love|newly married|on a dating app",
        "are you seeing anyone?|are you married or single?|how did you two meet?|have you ever been in love?",
        "i am {x}|i have been {x} for two years|i have a date tonight|my girlfriend broke up with me|my boyfriend is moving in|we met online",
        "good for you|what do they do?|is it serious?|i gave up on dating|you will find someone|we met at work|how long have you been together?|what is he like?",
    ),
    _topic(
        "a million dollars|a lottery win|a small business|a big debt|a savings account|the stock market|a second job",
        "what would you do with {x}?|are you good with money?|do you save money?",
        "i am saving for {x}|i dream about {x}|i lost a lot of money with {x}|i started {x} last year|money is tight right now",
        "i would pay off my house|money is not everything|i would quit my job|how much did you put in?|i am bad with money|you have to be careful|what kind of business?|i live paycheck to paycheck",
    ),
    _topic(
        "spanish|french|german|chinese|italian|sign language|russian|korean",
        "do you speak any other languages?|are you learning {x}?|where did you learn {x}?",
        "i speak {x} and english|i am learning {x} on an app|my parents only speak {x} at home|i teach {x} at a school|i failed {x} twice",
        "how long did it take?|i only speak english|say something in {x}|{y} is harder they say|i forgot most of it|the grammar is difficult|i use it at work",
    ),
    _topic(
        "six feet tall|very short|left handed|forty years old|twenty two|almost sixty|colorblind|a redhead|bald",
        "how old are you?|how tall are you?|what do you look like?",
        "i am {x}|i am {x} and proud of it|people make fun of me because i am {x}|my whole family is {x}",
        "me too actually|you sound younger|my sister is {x}|age is just a number|i am {y}|that must be useful|i get asked that a lot|you are still young",
    ),
    _topic(
        "the beach|the lake|the park|the mall|a museum|the zoo|an amusement park|the mountains|the woods",
        "do you like {x}?|do you go to {x} a lot?|what is there to do where you live?",
        "i went to {x} today|i live close to {x}|i take my kids to {x}|i got sunburned at {x}|we had a picnic at {x}",
        "was it crowded?|i have not been to {x} in years|i prefer {y}|what did you see there?|the kids must have loved it|we should all go outside more|parking is always a mess",
    ),
)
GREETINGS = (
    "hi", "hello", "hey", "hi there", "hello there", "hey, how are you?", "hi, how are you today?", "hello, how is it going?", "good morning", "good evening",
    "hey there, what is up?", "hi, nice to meet you", "hello, how was your day?", "hi, how are you doing tonight?", "hey, what are you up to?",
)  # fmt: skip
GREETING_REPLIES = (
    "i am good, how about you?", "hi, i am doing well", "pretty good, just relaxing", "hello, i am great, thanks", "a little tired but fine", "not bad, and you?",
    "i am fine, just got home from work", "doing ok, just finished dinner", "hey, good to meet you too", "i am well, just sitting here", "great, it is friday",
)  # fmt: skip
REACTIONS = (
    "that is cool", "nice", "wow", "that sounds fun", "oh no", "lol", "haha", "really?", "me too", "awesome", "that is great", "oh wow", "i see", "sounds good",
    "cool", "that is interesting", "i agree", "i understand", "oh that is too bad", "very nice", "that is funny", "oh i love that", "i bet", "yeah", "that makes sense",
    "sorry to hear that", "good for you", "i know what you mean", "same here", "that is awesome", "ah i see", "oh really", "not really", "no i do not", "yes i do",
    "definitely", "of course", "maybe", "sometimes", "i guess so", "absolutely", "yes, very much", "no, never",
)  # fmt: skip
BRIDGES = (
    "so", "well", "by the way,", "anyway,", "i see.", "that is cool.", "nice.", "cool.", "oh ok.", "speaking of that,", "so tell me,", "that sounds nice.", "lol.",
    "wow.", "interesting.", "ok,", "haha.", "me too.", "that is great.", "i understand.", "oh.", "good to know.",
)  # fmt: skip
CATCH_ALLS = (
    "what about you?", "how about you?", "and you?", "tell me more about yourself", "do you?", "why is that?", "what else do you like?", "how so?", "since when?",
)  # fmt: skip
FAREWELLS = ("nice talking to you", "i have to go now, bye", "well, good night", "it was nice chatting", "talk to you later", "bye, take care")
