"""Word lists for generated film titles and descriptions."""

# ruff: noqa: SIM905  lists of hundreds of words, one to a line, are no easier to read

from typing import Final

ADJECTIVES: Final = (
    "amber ancient autumn bitter blind borrowed brave bright broken burning careless cold "
    "common cruel crimson curious dancing dark deep distant drifting dusty early eastern "
    "electric empty endless faithful fallen fearless final first flying foreign forgotten "
    "fragile frozen gentle gilded golden grand gray green half hidden hollow honest hungry "
    "idle infinite invisible iron jealous jolly kind last late laughing lesser little lonely "
    "long lost loud lucky mad midnight missing modern naked narrow new noble northern odd old "
    "open painted pale patient perfect plain polite private proud quiet rainy reckless red "
    "restless royal ruined sacred salt scarlet second secret shallow silent silver simple "
    "sleeping slow small southern speechless stolen strange stubborn sudden summer sweet "
    "tender third thirsty tiny total twisted unfinished unkind upper velvet violent wandering "
    "warm western white wicked wild winter wooden young"
).split()

NOUNS: Final = (
    "acrobat alibi anchor angel apprentice archive arrow avenue baker ballad bandit banquet "
    "barber bargain bay beekeeper bell bicycle bird boat bone border boxer bread bride bridge "
    "brother butcher cabin cage camera candle canyon captain carousel castle cathedral cello "
    "chauffeur circus city clock cloud coast colonel comet conductor cook corridor cousin "
    "crossing crown curtain daughter dawn debt desert detective diary divorce doctor dog door "
    "dragon dream driver duel dust echo elevator emperor empire engine envelope escape estate "
    "exile eye factory falcon farewell farm father ferry fever field fire fish flame flood "
    "forest fortune fountain fox frontier gambler garden gardener ghost giant glacier glass "
    "gold governor grandmother guest guitar hammer harbor harvest heart heir highway hill "
    "holiday home honey horizon horse hotel hour house hunter island jacket jewel journey judge "
    "jungle king kingdom kiss kitchen knight ladder lady lagoon lake lamp lantern lawyer legend "
    "letter library lie light lighthouse lion machine magician map market marriage mask master "
    "meadow melody memory mermaid messenger mill miner miracle mirror monkey moon morning "
    "mother motor mountain murder museum mystery neighbor night nurse oath ocean orchard "
    "orphan outlaw owl painter palace paper parade passenger path peacock phantom photograph "
    "pianist pilgrim pilot planet poet poison prairie prince princess prisoner promise prophet "
    "queen rain raven rebel refuge return river road robot roof room rose sailor school scout "
    "sea shadow shepherd shore signal sister sky smuggler snow soldier song sparrow spy stage "
    "star station storm stranger street student summer sun supper swan sword tailor tale teacher "
    "thief thunder tide tiger tower town train traitor treasure trial tunnel uncle valley "
    "verdict village violin visitor voice voyage waiter waltz war watchmaker water wedding whale "
    "widow wind window winter witch witness wolf woman wood writer year"
).split()

NAMES: Final = (
    "ada agnes albert alma amos anselm arthur astrid audrey barnaby beatrix benno bertha boris "
    "bruno calvin camille cedric clara conrad cora cyrus dagmar daphne dexter dora edgar edith "
    "elias eliza elmer emil enid ernest esther eugene eva fabian felix fiona flora floyd frida "
    "gideon gloria greta gus harold hazel hector helga henri hilda hugo ida igor ines irma isaac "
    "ivan jasper jonah josef judith julius karl kirsten klara lars laszlo lena leopold lola "
    "lorenz louisa lucas mabel magnus marcel marta matilda max mina miriam moritz nadia nestor "
    "nina nora odette olga oscar otto pablo paula percy petra philo quentin ramona regina rolf "
    "rosa rufus ruth salome selma silas simon sonia stella sven tessa theo tilda tobias ulla "
    "ursula vera victor viola walter wanda wilma xaver yvonne zelda zeno"
).split()

PLACES: Final = (
    "aberdeen alaska antwerp bahia bergen bombay bremen brighton bristol bucharest budapest "
    "cadiz cairo calais cardiff chicago cologne cordoba cork corsica dakar dover dresden dublin "
    "dunkirk florence galway geneva genoa ghent glasgow granada halifax hamburg havana helsinki "
    "istanbul jaipur kansas kiev kyoto leeds leipzig lima lisbon liverpool lucerne lyon madrid "
    "malta manila marseille memphis milan montreal nairobi naples nevada norway odessa oporto "
    "oslo oxford padua palermo patagonia peru prague quebec riga rome rotterdam salerno samoa "
    "santiago seville siberia sicily sofia spain tallinn tangier texas tibet toledo toronto "
    "trieste tripoli tulsa turin utah valencia vermont verona vienna warsaw york zanzibar zurich"
).split()

NON_ASCII: Final = ("café", "señor", "naïve", "été", "fjærland", "coração", "größe", "forêt")
"""Words that lose letters when a title becomes an id."""

LANGUAGES: Final = (
    ("en", "English"), ("fr", "Français"), ("de", "Deutsch"), ("es", "Español"),
    ("it", "Italiano"), ("ja", "日本語"), ("pt", "Português"), ("sv", "svenska"),
)  # fmt: skip

COUNTRIES: Final = (
    ("US", "United States of America"), ("FR", "France"), ("DE", "Germany"), ("ES", "Spain"),
    ("IT", "Italy"), ("JP", "Japan"), ("PT", "Portugal"), ("SE", "Sweden"),
)  # fmt: skip
